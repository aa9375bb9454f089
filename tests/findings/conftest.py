"""Stores with hand-made results, for every test of this folder."""

from stores import shop, shop_at

__all__ = ["shop", "shop_at"]
