"""READ: open stores, aggregate indicators, test orders, judge claims.

Names are imported on first use: `import burden_analysis` must import neither scipy, statsmodels nor xarray.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
