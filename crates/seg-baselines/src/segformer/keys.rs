//! The names of SegFormer's parameters in the files of transformers and of segmentation-models-pytorch.

use super::mit::{SegFormerConfig, SegFormerFlavour};
use crate::checkpoint::Key;

impl SegFormerConfig {
    /// The name of a parameter in the state dict of the flavour's package.
    pub(crate) fn key(&self, path: &[&str]) -> Option<Key> {
        match self.flavour {
            SegFormerFlavour::Transformers => transformers(path).map(Key::plain),
            SegFormerFlavour::Smp => smp(path),
        }
    }
}

/// The names of the hub's files (transformers 5 renames them in memory and writes these).
fn transformers(path: &[&str]) -> Option<String> {
    let encoder = "segformer.encoder";
    Some(match path {
        ["stages", s, "patches", end] => format!("{encoder}.patch_embeddings.{s}.proj.{end}"),
        ["stages", s, "patch_norm", end] => format!("{encoder}.patch_embeddings.{s}.layer_norm.{end}"),
        ["stages", s, "norm", end] => format!("{encoder}.layer_norm.{s}.{end}"),
        ["stages", s, "blocks", b, layer, end] => {
            let layer = match *layer {
                "norm1" => "layer_norm_1",
                "query" => "attention.self.query",
                "key" => "attention.self.key",
                "value" => "attention.self.value",
                "reduce" => "attention.self.sr",
                "reduce_norm" => "attention.self.layer_norm",
                "output" => "attention.output.dense",
                "norm2" => "layer_norm_2",
                "dense1" => "mlp.dense1",
                "depthwise" => "mlp.dwconv.dwconv",
                "dense2" => "mlp.dense2",
                _ => return None,
            };
            format!("{encoder}.block.{s}.{b}.{layer}.{end}")
        }
        ["linear", s, end] => format!("decode_head.linear_c.{s}.proj.{end}"),
        ["fuse", "conv", end] => format!("decode_head.linear_fuse.{end}"),
        ["fuse", "norm", end] => format!("decode_head.batch_norm.{end}"),
        ["classifier", end] => format!("decode_head.classifier.{end}"),
        _ => return None,
    })
}

/// Keys and values are one tensor here, keys first.
fn smp(path: &[&str]) -> Option<Key> {
    let number = |stage: &str| stage.parse::<usize>().ok()?.checked_add(1);
    Some(Key::plain(match path {
        ["stages", s, "patches", end] => format!("encoder.patch_embed{}.proj.{end}", number(s)?),
        ["stages", s, "patch_norm", end] => format!("encoder.patch_embed{}.norm.{end}", number(s)?),
        ["stages", s, "norm", end] => format!("encoder.norm{}.{end}", number(s)?),
        ["stages", s, "blocks", b, layer, end] => {
            let layer = match *layer {
                "norm1" => "norm1",
                "query" => "attn.q",
                "key" | "value" => "attn.kv",
                "reduce" => "attn.sr",
                "reduce_norm" => "attn.norm",
                "output" => "attn.proj",
                "norm2" => "norm2",
                "dense1" => "mlp.fc1",
                "depthwise" => "mlp.dwconv.dwconv",
                "dense2" => "mlp.fc2",
                _ => return None,
            };
            format!("encoder.block{}.{b}.{layer}.{end}", number(s)?)
        }
        // The deepest feature comes first.
        ["linear", s, end] => format!("decoder.mlp_stage.{}.linear.{end}", 3usize.checked_sub(s.parse().ok()?)?),
        ["fuse", "conv", end] => format!("decoder.fuse_stage.0.{end}"),
        ["fuse", "norm", end] => format!("decoder.fuse_stage.1.{end}"),
        ["classifier", end] => format!("segmentation_head.0.{end}"),
        _ => return None,
    }))
    .map(|key| match path {
        ["stages", _, "blocks", _, "key", _] => Key { part: Some((0, 2)), ..key },
        ["stages", _, "blocks", _, "value", _] => Key { part: Some((1, 2)), ..key },
        _ => key,
    })
}
