"""What benches/sam.rs measures, in PyTorch: Meta's own classes, random weights, f32.

pip install torch segment-anything-py.  Run: python torch_sam.py [THREADS]   (default 2)
Prints the median and the minimum of each in milliseconds.
"""
import statistics, sys, time, torch
from functools import partial
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)


def build(img, patch=16, dim=768, depth=12, heads=12, out=256, window=14, glob=(2, 5, 8, 11), mlp=2048, rel=True):
    g = img // patch
    return Sam(ImageEncoderViT(img_size=img, patch_size=patch, embed_dim=dim, depth=depth, num_heads=heads, out_chans=out,
                               norm_layer=partial(torch.nn.LayerNorm, eps=1e-6), use_rel_pos=rel, window_size=window, global_attn_indexes=glob),
               PromptEncoder(embed_dim=out, image_embedding_size=(g, g), input_image_size=(img, img), mask_in_chans=16),
               MaskDecoder(num_multimask_outputs=3, transformer_dim=out, iou_head_hidden_dim=out,
                           transformer=TwoWayTransformer(depth=2, embedding_dim=out, mlp_dim=mlp, num_heads=8)))


mini = partial(build, patch=8, dim=192, depth=6, heads=3, out=128, window=8, glob=(2, 5), mlp=512)


def measure(name, f, n):
    f()
    times = []
    for _ in range(n):
        t = time.perf_counter(); f(); times.append((time.perf_counter() - t) * 1e3)
    print(f"{name:34s} median {statistics.median(times):9.1f} ms   minimum {min(times):9.1f} ms", flush=True)


def decode(sam, emb, side, token=None):
    if token is None:
        sp, de = sam.prompt_encoder(points=(torch.tensor([[[100.0, 100.0]]]), torch.tensor([[1]])), boxes=None, masks=None)
    else:
        sp, de = token, sam.prompt_encoder(points=None, boxes=None, masks=None)[1]
    return sam.mask_decoder(image_embeddings=emb, image_pe=sam.prompt_encoder.get_dense_pe(), sparse_prompt_embeddings=sp,
                            dense_prompt_embeddings=de, multimask_output=token is None)[0]


with torch.no_grad():
    for side in (512, 1024):
        sam = build(side).eval()
        measure(f"encoder forward/ViT-B {side}", lambda: sam.image_encoder(torch.ones(1, 3, side, side)), 5)
        emb = torch.ones(1, 256, side // 16, side // 16)
        measure(f"decoder, one point/ViT-B {side}", lambda: decode(sam, emb, side), 10)
    sam = build(512, window=0, glob=(), rel=False).eval()
    measure("encoder forward/ViT-B 512, paper", lambda: sam.image_encoder(torch.ones(1, 3, 512, 512)), 5)
    sam = mini(256).eval()
    measure("encoder forward/mini 256", lambda: sam.image_encoder(torch.ones(1, 3, 256, 256)), 10)
for side, batch in ((128, 8), (256, 2)):
    sam = mini(side)
    token = torch.nn.Parameter(torch.randn(1, 1, 128))

    def step():
        emb = sam.image_encoder(torch.ones(batch, 3, side, side))
        # Meta's decoder takes one image at a time.
        loss = sum(decode(sam, emb[i:i + 1], side, token).pow(2).mean() for i in range(batch)) / batch
        loss.backward()

    measure(f"forward and backward/mini {side}, batch {batch}", step, 10)
