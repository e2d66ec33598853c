"""A whole training step on the device: rays, field forward and backward, loss, pictures for LPIPS, optimiser.

Every kernel reads the number of samples, the step and the frame from device memory, so one captured graph serves all
steps. Weights and their gradients use the packed layout of ``field.layout``.
"""
