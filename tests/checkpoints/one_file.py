"""One-file checkpoints in the layout of the original code, made from folders in the diffusers layout."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
UNET = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
OPEN_CLIP = {
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
    "final_layer_norm": "ln_final",
}
OPEN_CLIP_LAYER = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}


def one_file(folder: Path, path: Path, *, open_clip: bool = False, marks: tuple[str, ...] = ()) -> Path:
    """Write a folder's weights into one file, and its configurations into a folder of the same name beside it.

    Args:
        folder: a small checkpoint of Stable Diffusion or SDXL.
        path: the file.
        open_clip: whether the only text encoder has OpenCLIP's names, as in Stable Diffusion 2.x.
        marks: names of empty weights that state a property.
    """
    whole = {f"model.diffusion_model.{name}": weight for name, weight in _unet(folder / "unet").items()}
    whole |= {f"first_stage_model.{name}": weight for name, weight in _vae(_weights(folder / "vae")).items()}
    text = _weights(folder / "text_encoder")
    if (folder / "text_encoder_2").exists():
        second = _open_clip(_weights(folder / "text_encoder_2"))
        whole |= {f"conditioner.embedders.0.transformer.{name}": weight for name, weight in _prefixed(text).items()}
        whole |= {f"conditioner.embedders.1.model.{name}": weight for name, weight in second.items()}
    elif open_clip:
        whole |= {f"cond_stage_model.model.{name}": weight for name, weight in _open_clip(text).items()}
    else:
        whole |= {f"cond_stage_model.transformer.{name}": weight for name, weight in _prefixed(text).items()}
    whole |= {mark: torch.zeros(1) for mark in marks}
    save_file({name: weight.contiguous().clone() for name, weight in whole.items()}, path)
    shutil.copytree(folder, path.with_suffix(""), ignore=shutil.ignore_patterns("*.safetensors"))
    return path


def _weights(folder):
    return {name: weight for file in folder.glob("*.safetensors") for name, weight in load_file(file).items()}


def _prefixed(text):
    return {f"text_model.{name.removeprefix('text_model.')}": weight for name, weight in text.items()}


def _renamed(name, names):
    for ours, theirs in names.items():
        name = name.replace(ours, theirs)
    return name


def _unet(folder):
    config = json.loads((folder / "config.json").read_text())
    layers = config["layers_per_block"]
    # An upsampler stands behind the attention, where its block has any.
    places = [2 if kind.startswith("CrossAttn") else 1 for kind in config["up_block_types"]]
    return {_unet_name(name, layers, places): weight for name, weight in _weights(folder).items()}


def _unet_name(name, layers, places):
    parts = name.split(".")
    if parts[0] == "mid_block":
        place = {"resnets": 2 * int(parts[2]), "attentions": 1}[parts[1]]
        rest = ".".join(parts[3:])
        return f"middle_block.{place}.{_renamed(rest, RESNET) if parts[1] == 'resnets' else rest}"
    if parts[0] not in {"down_blocks", "up_blocks"}:
        return _renamed(name, UNET)
    block, kind, layer, rest = int(parts[1]), parts[2], int(parts[3]), ".".join(parts[4:])
    if parts[0] == "down_blocks":
        if kind == "downsamplers":
            return f"input_blocks.{(block + 1) * (layers + 1)}.0.{rest.replace('conv', 'op')}"
        start = f"input_blocks.{1 + block * (layers + 1) + layer}"
    else:
        start = f"output_blocks.{block * (layers + 1) + layer}"
        if kind == "upsamplers":
            return f"output_blocks.{block * (layers + 1) + layers}.{places[block]}.{rest}"
    return f"{start}.0.{_renamed(rest, RESNET)}" if kind == "resnets" else f"{start}.1.{rest}"


def _vae(weights):
    ups = 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("decoder.up_blocks"))
    return dict(_vae_item(name, weight, ups) for name, weight in weights.items())


def _vae_item(name, weight, ups):
    parts = name.split(".")
    if "mid_block" in parts:
        rest = ".".join(parts[4:])
        if parts[2] == "attentions":
            rest = _renamed(rest, VAE_ATTENTION)
            # The original code has one-pixel convolutions here.
            weight = weight[:, :, None, None] if weight.dim() == 2 else weight
            return f"{parts[0]}.mid.attn_1.{rest}", weight
        return f"{parts[0]}.mid.block_{int(parts[3]) + 1}.{rest.replace('conv_shortcut', 'nin_shortcut')}", weight
    if len(parts) > 2 and parts[1] in {"down_blocks", "up_blocks"}:
        side, number = ("down", int(parts[2])) if parts[1] == "down_blocks" else ("up", ups - 1 - int(parts[2]))
        rest = ".".join(parts[5:])
        if parts[3] == "resnets":
            rest = rest.replace("conv_shortcut", "nin_shortcut")
            return f"{parts[0]}.{side}.{number}.block.{parts[4]}.{rest}", weight
        return f"{parts[0]}.{side}.{number}.{side}sample.{rest}", weight
    return name.replace("conv_norm_out", "norm_out"), weight


def _open_clip(text):
    plain = {name.removeprefix("text_model."): weight for name, weight in text.items()}
    found = {}
    for name, weight in plain.items():
        if name == "text_projection.weight":
            found["text_projection"] = weight.T
        elif ".q_proj." in name:
            parts = [plain[name.replace("q_proj", each)] for each in ("q_proj", "k_proj", "v_proj")]
            layer = name.split(".")[2]
            found[f"transformer.resblocks.{layer}.attn.in_proj_{name.rpartition('.')[2]}"] = torch.cat(parts)
        elif name.startswith("encoder.layers.") and ".k_proj." not in name and ".v_proj." not in name:
            rest = name.removeprefix("encoder.layers.")
            found[f"transformer.resblocks.{_renamed(rest, OPEN_CLIP_LAYER)}"] = weight
        elif not name.startswith("encoder.layers."):
            found[_renamed(name, OPEN_CLIP)] = weight
    return found
