//! The arguments that name a text prompt, the same in every command that takes one.

use std::path::PathBuf;

/// Which text, and what encodes it.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct TextArgument {
    /// Words that prompt the model, for example "vessel"; what CLIP makes of them is kept in the cache folder
    #[arg(long, value_name = "WORDS")]
    pub(crate) text: Vec<String>,
    /// CLIP's weights (.safetensors, .pt state dict) of OpenAI or transformers, ViT-B/32 for the paper's model; needed for words that
    /// were not encoded before
    #[arg(long, value_name = "FILE", requires = "text")]
    pub(crate) clip: Option<PathBuf>,
}
