"""How the audio-visual encoder is trained: a lip-sync discriminator, then the generator that holds the encoder."""
