"""Operations of tri-plane talking-head renderers, each with a differentiable PyTorch twin that defines the truth.

Every folder is one operation: public functions in ``__init__``, the twin in ``reference``, the formula in README.md.
Nothing here imports more than torch.
"""
