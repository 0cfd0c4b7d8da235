"""WRITE: instrumented training runs stream indicators into a zarr store.

Names are imported on first use: `import recorders.contract` must not import torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
