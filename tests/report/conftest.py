"""Stores with hand-made results, for every test of this folder."""

from blank_figures import blank_figures
from stores import shop, shop_at

__all__ = ["blank_figures", "shop", "shop_at"]
