"""Action units: AUE from OpenFace's CSVs, AUE from OpenFace's models, and MediaPipe's blendshape and blink errors."""
