//! The names of a tower's parameters in the files of OpenAI and of transformers.

/// Whose names a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    OpenAi,
    Transformers,
}

/// Where a parameter lies in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) name: String,
    /// Which of how many equal blocks of rows, where one tensor holds several parameters.
    pub(crate) part: Option<(usize, usize)>,
}

/// The table of tokens, by which a tower is found in a file.
pub(crate) const TOKENS: [(Spelling, &str); 2] = [
    (Spelling::Transformers, "text_model.embeddings.token_embedding.weight"),
    (Spelling::OpenAi, "token_embedding.weight"),
];

/// What stands beside the text tower in the files of whole models: the image tower, the temperature, numbers.
pub(crate) fn is_beside(name: &str) -> bool {
    const PARTS: [&str; 9] = [
        "context_length",
        "input_resolution",
        "logit_bias",
        "logit_scale",
        "vision_model",
        "visual",
        "visual_projection",
        "vocab_size",
        "attn_mask",
    ];
    name.ends_with(".position_ids") || PARTS.contains(&name.split('.').next().unwrap_or_default())
}

/// The key of a parameter, by its path in the module.
pub(crate) fn key(spelling: Spelling, path: &[&str]) -> Option<Key> {
    match spelling {
        Spelling::OpenAi => openai(path),
        Spelling::Transformers => transformers(path).map(|name| Key { name, part: None }),
    }
}

/// Query, key and value are one tensor here, in this order.
fn openai(path: &[&str]) -> Option<Key> {
    let plain = |name: String| Some(Key { name, part: None });
    match path {
        ["token_embedding"] => plain("token_embedding.weight".to_owned()),
        ["positional_embedding" | "text_projection"] => plain(path[0].to_owned()),
        ["final_norm", end] => plain(format!("ln_final.{end}")),
        ["blocks", i, layer, end] => {
            let prefix = format!("transformer.resblocks.{i}");
            let joined = |part| Some(Key { name: format!("{prefix}.attn.in_proj_{end}"), part: Some((part, 3)) });
            match *layer {
                "norm1" => plain(format!("{prefix}.ln_1.{end}")),
                "query" => joined(0),
                "key" => joined(1),
                "value" => joined(2),
                "output" => plain(format!("{prefix}.attn.out_proj.{end}")),
                "norm2" => plain(format!("{prefix}.ln_2.{end}")),
                "expand" => plain(format!("{prefix}.mlp.c_fc.{end}")),
                "contract" => plain(format!("{prefix}.mlp.c_proj.{end}")),
                _ => None,
            }
        }
        _ => None,
    }
}

fn transformers(path: &[&str]) -> Option<String> {
    Some(match path {
        ["token_embedding"] => "text_model.embeddings.token_embedding.weight".to_owned(),
        ["positional_embedding"] => "text_model.embeddings.position_embedding.weight".to_owned(),
        ["text_projection"] => "text_projection.weight".to_owned(),
        ["final_norm", end] => format!("text_model.final_layer_norm.{end}"),
        ["blocks", i, layer, end] => {
            let layer = match *layer {
                "norm1" => "layer_norm1",
                "query" => "self_attn.q_proj",
                "key" => "self_attn.k_proj",
                "value" => "self_attn.v_proj",
                "output" => "self_attn.out_proj",
                "norm2" => "layer_norm2",
                "expand" => "mlp.fc1",
                "contract" => "mlp.fc2",
                _ => return None,
            };
            format!("text_model.encoder.layers.{i}.{layer}.{end}")
        }
        _ => return None,
    })
}
