//! Parameter-efficient fine-tuning for any Burn module: SALT, SVD tuning, LoRA, DoRA.
