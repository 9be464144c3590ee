"""Times training steps and encoder inference of SAM ViT-B and SAM 2 Hiera-B+ in PyTorch, for `cargo xtask bench --peers PYTHON`.

    pip install torch torchvision segment-anything-py setuptools hydra-core iopath tqdm
    SAM2_BUILD_CUDA=0 pip install --no-build-isolation --no-deps sam2

The models are Meta's own code; SALT, S-SAM and LoRA are put in place of their layers, on the weights that the paper adapts: the two linear
layers of attention and MLP in each block and, of SAM, the two convolutions of the neck. Layer norms, positions and the prompt's token train in
full.
The weights are random: only time and memory count. Prints one line of JSON.
"""

import argparse
import json
import resource
import time

import torch
import torch.nn.functional as F
from torch import nn


class Salt(nn.Module):
    """W' = U relu(S') V^T: rebuilt in every step as the released code does, or applied to the activations (`spectral`)."""

    def __init__(self, layer, top, rank, spectral):
        super().__init__()
        weight = layer.weight.detach()
        self.shape, self.spectral = weight.shape, spectral
        u, s, v = torch.linalg.svd(weight.reshape(weight.shape[0], -1), full_matrices=False)
        for name, value in (("u", u.contiguous()), ("s", s), ("v", v.contiguous())):
            self.register_buffer(name, value)
        self.bias = None if layer.bias is None else nn.Parameter(layer.bias.detach(), requires_grad=False)
        self.conv = layer if isinstance(layer, nn.Conv2d) else None
        if self.conv is not None:
            self.conv.weight.requires_grad_(False)
        self.top = min(top, s.numel())
        rest = s.numel() - self.top
        self.scale, self.shift = nn.Parameter(torch.ones(self.top)), nn.Parameter(torch.zeros(self.top))
        self.x = nn.Parameter(0.01 * torch.randn(rest, rank)) if rest and rank else None
        self.y = nn.Parameter(0.01 * torch.randn(rank, rest)) if rest and rank else None

    def diagonal(self):
        return self.scale * self.s[: self.top] + self.shift

    def rest(self):
        return torch.diag(self.s[self.top :]) + self.x @ self.y

    def weight(self):
        core = torch.diag(self.diagonal())
        if self.x is not None:
            core = torch.block_diag(core, self.rest())
        return (self.u @ F.relu(core) @ self.v).reshape(self.shape)

    def forward(self, x):
        if self.conv is not None:
            return F.conv2d(x, self.weight(), self.bias, self.conv.stride, self.conv.padding)
        if not self.spectral:
            return F.linear(x, self.weight(), self.bias)
        coordinates = F.linear(x, self.v)
        parts = [coordinates[..., : self.top] * F.relu(self.diagonal())]
        if self.x is not None:
            parts.append(F.linear(coordinates[..., self.top :], F.relu(self.rest())))
        return F.linear(torch.cat(parts, -1), self.u, self.bias)


class Lora(nn.Module):
    """W x + B A x, on the activations."""

    def __init__(self, layer, rank):
        super().__init__()
        self.layer = layer.requires_grad_(False)
        outputs, inputs = layer.weight.reshape(layer.weight.shape[0], -1).shape
        self.a, self.b = nn.Parameter(0.01 * torch.randn(rank, inputs)), nn.Parameter(torch.zeros(outputs, rank))

    def forward(self, x):
        if isinstance(self.layer, nn.Conv2d):
            layer = self.layer
            a = self.a.reshape(-1, *layer.weight.shape[1:])
            return layer(x) + F.conv2d(F.conv2d(x, a, None, layer.stride, layer.padding), self.b[:, :, None, None])
        return self.layer(x) + F.linear(F.linear(x, self.a), self.b)


def fused_attention(self, x):
    """The attention of segment_anything without relative positions, by torch's fused kernel."""
    batch, height, width, _ = x.shape
    qkv = self.qkv(x).reshape(batch, height * width, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
    x = F.scaled_dot_product_attention(*qkv.unbind(0))
    return self.proj(x.transpose(1, 2).reshape(batch, height, width, -1))


def fused_relative_attention(self, x):
    """The same with decomposed relative positions as the kernel's additive mask."""
    from segment_anything.modeling.image_encoder import get_rel_pos

    batch, height, width, _ = x.shape
    q, k, v = self.qkv(x).reshape(batch, height * width, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
    grid = q.reshape(batch, self.num_heads, height, width, -1)
    rows = torch.einsum("nbhwc,hkc->nbhwk", grid, get_rel_pos(height, height, self.rel_pos_h))
    columns = torch.einsum("nbhwc,wkc->nbhwk", grid, get_rel_pos(width, width, self.rel_pos_w))
    bias = (rows[..., :, None] + columns[..., None, :]).reshape(batch, self.num_heads, height * width, height * width)
    x = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    return self.proj(x.transpose(1, 2).reshape(batch, height, width, -1))


def build_sam2(args):
    """Hiera-B+ with everything that SAM 2 has on images. Its attention is torch's fused kernel already."""
    from sam2.modeling.backbones.hieradet import Hiera
    from sam2.modeling.backbones.image_encoder import FpnNeck, ImageEncoder
    from sam2.modeling.position_encoding import PositionEmbeddingSine
    from sam2.modeling.sam.mask_decoder import MaskDecoder
    from sam2.modeling.sam.prompt_encoder import PromptEncoder
    from sam2.modeling.sam.transformer import TwoWayTransformer

    channels, grid = 256, args.size // 16
    trunk = Hiera(embed_dim=112, num_heads=2, stages=(2, 3, 16, 3), window_spec=(8, 4, 14, 7), global_att_blocks=(12, 16, 20),
                  window_pos_embed_bkg_spatial_size=(14, 14))
    sine = PositionEmbeddingSine(num_pos_feats=channels, normalize=True, scale=None, temperature=10000)
    neck = FpnNeck(sine, channels, trunk.channel_list, fpn_top_down_levels=[2, 3], fpn_interp_model="nearest")
    prompt = PromptEncoder(channels, (grid, grid), (args.size, args.size), 16)
    transformer = TwoWayTransformer(depth=2, embedding_dim=channels, mlp_dim=2048, num_heads=8)
    decoder = MaskDecoder(transformer_dim=channels, transformer=transformer, num_multimask_outputs=3, use_high_res_features=True,
                          iou_prediction_use_sigmoid=True, pred_obj_scores=True, pred_obj_scores_mlp=True)
    decoder.no_mem_embed = nn.Parameter(torch.zeros(1, channels, 1, 1))
    return ImageEncoder(trunk, neck, scalp=1), prompt, decoder


def encode(encoder, decoder, images):
    """The embedding, and in SAM 2 the two finer maps."""
    out = encoder(images)
    if torch.is_tensor(out):
        return out, []
    finest, finer, embedding = out["backbone_fpn"]
    return embedding + decoder.no_mem_embed, [decoder.conv_s0(finest), decoder.conv_s1(finer)]


def build(args):
    if args.model == "hiera-b+":
        return build_sam2(args)
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, TwoWayTransformer

    relative = args.variant == "sam"
    grid = args.size // args.patch
    small = args.model == "mini"
    width, depth, heads, channels = (192, 6, 3, 128) if small else (768, 12, 12, 256)
    encoder = ImageEncoderViT(
        img_size=args.size, patch_size=args.patch, embed_dim=width, depth=depth, num_heads=heads, out_chans=channels,
        norm_layer=lambda size: nn.LayerNorm(size, eps=1e-6), use_rel_pos=relative,
        window_size=(8 if small else 14) if relative else 0,
        global_attn_indexes=((2, 5) if small else (2, 5, 8, 11)) if relative else (),
    )
    prompt = PromptEncoder(channels, (grid, grid), (args.size, args.size), 16)
    hidden = 512 if small else 2048
    transformer = TwoWayTransformer(depth=2, embedding_dim=channels, mlp_dim=hidden, num_heads=8)
    decoder = MaskDecoder(transformer_dim=channels, transformer=transformer, num_multimask_outputs=3,
                          iou_head_hidden_dim=channels)
    if args.attention == "sdpa":
        kind = fused_relative_attention if relative else fused_attention
        for block in encoder.blocks:
            block.attn.forward = kind.__get__(block.attn)
    return encoder, prompt, decoder


def adapt(encoder, prompt, decoder, args):
    """Puts the method in place; returns what trains."""
    parts = nn.ModuleList([encoder, prompt, decoder])
    if args.method == "full":
        return [p for p in parts.parameters() if p.requires_grad]
    parts.requires_grad_(False)
    if args.model == "hiera-b+":
        return adapt_sam2(encoder, parts, args)
    width = encoder.blocks[0].attn.qkv.in_features

    def layer(old, kind):
        if args.method == "lora":
            return Lora(old, args.rank)
        top = {"attention": 760 * width // 768, "mlp": max(1, 50 * width // 768), "neck": 250 * encoder.neck[0].out_channels // 256}[kind]
        return Salt(old, 10**6 if args.method == "s-sam" else top, args.rank, args.form == "spectral")

    for block in encoder.blocks:
        block.attn.qkv, block.attn.proj = layer(block.attn.qkv, "attention"), layer(block.attn.proj, "attention")
        block.mlp.lin1, block.mlp.lin2 = layer(block.mlp.lin1, "mlp"), layer(block.mlp.lin2, "mlp")
    encoder.neck[0], encoder.neck[2] = layer(encoder.neck[0], "neck"), layer(encoder.neck[2], "neck")
    return trained(parts)


def trained(parts):
    for name, parameter in parts.named_parameters():
        if "norm" in name or "pos_embed" in name:
            parameter.requires_grad_(True)
    return [p for p in parts.parameters() if p.requires_grad]


def adapt_sam2(encoder, parts, args):
    """SALT scales a tenth of each weight's singular values; the neck stays as it is."""

    def layer(old):
        if args.method == "lora":
            return Lora(old, args.rank)
        every = min(old.in_features, old.out_features)
        top = every if args.method == "s-sam" else max(1, every // 10)
        return Salt(old, top, args.rank, args.form == "spectral")

    for block in encoder.trunk.blocks:
        block.attn.qkv, block.attn.proj = layer(block.attn.qkv), layer(block.attn.proj)
        block.mlp.layers[0], block.mlp.layers[1] = layer(block.mlp.layers[0]), layer(block.mlp.layers[1])
    return trained(parts)


def forward(encoder, prompt, decoder, token, images):
    embedding, finer = encode(encoder, decoder, images)
    batch = images.shape[0]
    dense = prompt.no_mask_embed.weight.reshape(1, -1, 1, 1).expand(batch, -1, *embedding.shape[-2:])
    masks = []
    for index in range(batch):
        more = {"repeat_image": False, "high_res_features": [level[index : index + 1] for level in finer]} if finer else {}
        low, *_ = decoder(
            image_embeddings=embedding[index : index + 1], image_pe=prompt.get_dense_pe(),
            sparse_prompt_embeddings=token, dense_prompt_embeddings=dense[index : index + 1], multimask_output=False, **more,
        )
        masks.append(low)
    return F.interpolate(torch.cat(masks), images.shape[-2:], mode="bilinear", align_corners=False)


def loss(logits, target):
    probability = torch.sigmoid(logits)
    overlap = (probability * target).sum((2, 3))
    dice = 1 - (2 * overlap + 1) / (probability.sum((2, 3)) + target.sum((2, 3)) + 1)
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    right = probability * target + (1 - probability) * (1 - target)
    weight = 0.75 * target + 0.25 * (1 - target)
    return dice.mean() + (weight * (1 - right) ** 3 * entropy).mean()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--method", choices=["salt", "s-sam", "lora", "full", "inference"], required=True)
    parser.add_argument("--rank", type=int, default=0)
    parser.add_argument("--form", choices=["rebuild", "spectral"], default="rebuild")
    parser.add_argument("--attention", choices=["eager", "sdpa"], default="sdpa")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--variant", choices=["paper", "sam"], default="paper")
    parser.add_argument("--model", choices=["vit-b", "mini", "hiera-b+"], default="vit-b")
    parser.add_argument("--patch", type=int, default=16)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    encoder, prompt, decoder = build(args)
    images = torch.randn(args.batch, 3, args.size, args.size)
    seconds = []
    if args.method == "inference":
        encoder.eval()
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=args.precision == "bf16"):
            for _ in range(args.steps + 1):
                start = time.perf_counter()
                encode(encoder, decoder, images)
                seconds.append(time.perf_counter() - start)
    else:
        trained = adapt(encoder, prompt, decoder, args)
        token = nn.Parameter(torch.randn(1, 1, prompt.embed_dim))
        optimizer = torch.optim.AdamW([*trained, token], lr=1e-4)
        target = (torch.rand(args.batch, 1, args.size, args.size) > 0.9).float()
        for _ in range(args.steps + 1):
            start = time.perf_counter()
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=args.precision == "bf16"):
                logits = forward(encoder, prompt, decoder, token, images)
            loss(logits.float(), target).backward()
            optimizer.step()
            seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    # The first step allocates and is left out.
    print(json.dumps({"seconds": seconds[1:], "peak_mib": peak, "version": f"PyTorch {torch.__version__}"}))


if __name__ == "__main__":
    main()
