//! What is timed.

use burn_kernels::Precision;

/// One line of the table.
pub(super) struct Case {
    pub(super) id: &'static str,
    pub(super) what: &'static str,
    pub(super) method: Method,
    pub(super) model: Model,
    pub(super) size: usize,
    pub(super) batch: usize,
    /// Whether the encoder's blocks are computed twice instead of kept.
    pub(super) checkpointing: bool,
    /// Whether packed copies of frozen weights are kept, however many there are.
    pub(super) keep_packed: bool,
    /// How its products are computed; where the machine cannot, the case is an error.
    pub(super) precision: Precision,
    /// Another rank than the row's.
    pub(super) rank: Option<usize>,
    /// Arguments of the peers' script, one list for each variant; the fastest one counts.
    pub(super) peers: &'static [&'static str],
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Method {
    /// A row of the paper's main table.
    Row(&'static str),
    /// The encoder alone, without gradients.
    Inference,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Model {
    /// ViT-B as the paper's code runs it.
    Paper,
    /// ViT-B with windows and relative positions.
    Sam,
    /// The demonstration's model.
    Mini,
    /// SAM 2, Hiera-B+, with everything that its image path has.
    Sam2,
}

pub(super) const fn training(
    id: &'static str,
    what: &'static str,
    row: &'static str,
    peers: &'static [&'static str],
) -> Case {
    Case {
        id,
        what,
        method: Method::Row(row),
        model: Model::Paper,
        size: 512,
        batch: 1,
        checkpointing: false,
        keep_packed: false,
        precision: Precision::F32,
        rank: None,
        peers,
    }
}

/// A SALT step of Hiera-B+ with the paper's high rank.
const fn sam2(id: &'static str, what: &'static str, peers: &'static [&'static str]) -> Case {
    Case { model: Model::Sam2, ..training(id, what, "sam2-salt-high", peers) }
}

pub(super) const CASES: &[Case] = &[
    training("salt-256", "SALT-256 step; PyTorch rebuilds W'", "salt-high", &["--method salt --rank 256"]),
    training(
        "salt-256-spectral",
        "SALT-256 step; PyTorch in the spectral form",
        "salt-high",
        &["--method salt --rank 256 --form spectral"],
    ),
    Case {
        precision: Precision::Bf16,
        ..training(
            "salt-256-bf16",
            "SALT-256 step in bf16; PyTorch in f32 rebuilds W'",
            "salt-high",
            &["--method salt --rank 256"],
        )
    },
    Case {
        precision: Precision::Bf16,
        ..training(
            "salt-256-bf16-autocast",
            "SALT-256 step in bf16; PyTorch with autocast to bf16",
            "salt-high",
            &["--method salt --rank 256 --precision bf16", "--method salt --rank 256 --form spectral --precision bf16"],
        )
    },
    training("salt-4", "SALT-4 step; PyTorch rebuilds W'", "salt-low", &["--method salt --rank 4"]),
    training("s-sam", "S-SAM step; PyTorch rebuilds W'", "s-sam", &["--method s-sam"]),
    training("lora-4", "LoRA-4 step", "lora-low", &["--method lora --rank 4"]),
    training("lora-256", "LoRA-256 step", "lora-high", &["--method lora --rank 256"]),
    training("full", "full fine-tuning step", "full", &["--method full", "--method full --attention eager"]),
    Case {
        batch: 2,
        ..training("salt-256-batch-2", "SALT-256 step, batch 2", "salt-high", &["--method salt --rank 256 --batch 2"])
    },
    Case {
        keep_packed: true,
        ..training(
            "salt-256-packed",
            "SALT-256 step, packed copies of frozen weights kept; PyTorch rebuilds W'",
            "salt-high",
            &["--method salt --rank 256"],
        )
    },
    Case {
        keep_packed: true,
        precision: Precision::Bf16,
        ..training(
            "salt-256-bf16-packed",
            "SALT-256 step in bf16, packed copies of frozen weights kept; PyTorch with autocast to bf16",
            "salt-high",
            &["--method salt --rank 256 --precision bf16", "--method salt --rank 256 --form spectral --precision bf16"],
        )
    },
    Case {
        keep_packed: true,
        ..training(
            "lora-4-packed",
            "LoRA-4 step, packed copies of frozen weights kept",
            "lora-low",
            &["--method lora --rank 4"],
        )
    },
    Case {
        checkpointing: true,
        ..training(
            "salt-256-checkpointing",
            "SALT-256 step with activation checkpointing; PyTorch rebuilds W' and keeps all",
            "salt-high",
            &["--method salt --rank 256"],
        )
    },
    Case {
        checkpointing: true,
        batch: 2,
        ..training(
            "salt-256-batch-2-checkpointing",
            "SALT-256 step, batch 2, with activation checkpointing; PyTorch keeps all",
            "salt-high",
            &["--method salt --rank 256 --batch 2"],
        )
    },
    Case {
        method: Method::Inference,
        ..training("inference-512", "encoder inference, 512 px", "", &["--method inference"])
    },
    Case {
        method: Method::Inference,
        keep_packed: true,
        ..training(
            "inference-512-packed",
            "encoder inference, 512 px, packed copies of weights kept",
            "",
            &["--method inference"],
        )
    },
    Case {
        method: Method::Inference,
        model: Model::Sam,
        size: 1024,
        ..training(
            "inference-1024",
            "encoder inference, 1024 px, windows and relative positions",
            "",
            &[
                "--method inference --variant sam --size 1024",
                "--method inference --variant sam --size 1024 --attention eager",
            ],
        )
    },
    Case {
        model: Model::Mini,
        size: 128,
        batch: 2,
        ..training(
            "mini-salt",
            "sam-mini, 128 px, batch 2, SALT step; PyTorch rebuilds W'",
            "salt-high",
            &["--model mini --variant sam --patch 8 --size 128 --batch 2 --method salt --rank 64"],
        )
    },
    sam2(
        "sam2-salt-256",
        "Hiera-B+, SALT-256 step; PyTorch rebuilds W'",
        &["--model hiera-b+ --method salt --rank 256"],
    ),
    sam2(
        "sam2-salt-256-spectral",
        "Hiera-B+, SALT-256 step; PyTorch in the spectral form",
        &["--model hiera-b+ --method salt --rank 256 --form spectral"],
    ),
    Case {
        size: 1024,
        ..sam2(
            "sam2-salt-256-1024",
            "Hiera-B+, SALT-256 step, 1024 px; PyTorch rebuilds W'",
            &["--model hiera-b+ --method salt --rank 256 --size 1024"],
        )
    },
    Case {
        method: Method::Inference,
        ..sam2("sam2-inference-512", "Hiera-B+, encoder inference, 512 px", &["--model hiera-b+ --method inference"])
    },
    Case {
        method: Method::Inference,
        size: 1024,
        ..sam2(
            "sam2-inference-1024",
            "Hiera-B+, encoder inference, 1024 px",
            &["--model hiera-b+ --method inference --size 1024"],
        )
    },
];
