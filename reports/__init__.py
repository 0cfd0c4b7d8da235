"""SHOW: figures, tables and a self-contained report from Datasets and results; nothing here trains or tests.

Names are imported on first use: `import reports` must stay cheap (matplotlib and jinja2 are not).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
