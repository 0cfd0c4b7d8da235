from .loop.recorder import Recorder as Recorder
from .measure.own_indicators import Indicator as Indicator
from .networks.merge_tokens import merge_tokens as merge_tokens
from .networks.token_matching import bipartite_soft_matching as bipartite_soft_matching
from .networks.token_merge import TokenMerge as TokenMerge
from .networks.vit import VisionTransformer as VisionTransformer
from .probe.mask_probe import MaskProbe as MaskProbe

__all__ = [
    "Indicator",
    "MaskProbe",
    "Recorder",
    "TokenMerge",
    "VisionTransformer",
    "bipartite_soft_matching",
    "merge_tokens",
]
