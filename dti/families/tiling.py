"""Tiles of autoencoders: less memory for large pictures."""

from typing import Any

TILE_PX = 512
"""Side of the tiles of tiled encoding and decoding."""


def set_tiling(network: Any, *, enabled: bool) -> None:  # noqa: ANN401 - diffusers has no types
    """Switch an autoencoder's tiles on or off: less memory for large pictures, with blended seams.

    Tiles overlap by a quarter and are blended, so pictures differ from those in one piece. Networks that cannot tile
    are left as they are.
    """
    # AutoencoderTiny tiles by another scale than its layers', and needs little memory anyway.
    if not hasattr(network, "use_tiling") or hasattr(network, "spatial_scale_factor"):
        return
    network.use_tiling = enabled
    if hasattr(network, "tile_sample_min_size"):
        network.tile_sample_min_size = TILE_PX
        network.tile_latent_min_size = TILE_PX // 2 ** (len(network.config.block_out_channels) - 1)
