//! What reduced precision costs, as rows: the same method with its products in `f32` and in fewer bits.

use super::{Family, MethodRow, SALT_TRAINS, Scale, ScaledShares, TableId, everything, row};
use medseg_train::config::Precision;
use salt_peft::{AdapterConfig, Initialization, SaltForm};

/// Each precision with the name in ids and titles, and whether its rows run without being asked for by id. Those on AMX and on GPUs need
/// other machines.
const REDUCED: [(Precision, bool); 3] = [(Precision::Bf16, true), (Precision::F32Amx, false), (Precision::F16, false)];

/// SALT, LoRA and full fine-tuning in `f32`, as in the main table, and beside each of them the same in every reduced precision.
pub(super) fn precision_rows(
    scale: Scale,
    main: ScaledShares,
    form: SaltForm,
    initial: Initialization,
    lora: AdapterConfig,
) -> Vec<MethodRow> {
    let rank = scale.update(256);
    let salt = scale.salt(main, rank, form, initial);
    let rows = [
        row("full", "Full fine-tuning".into(), "every weight", Family::Full, Some(everything())),
        row("lora-high", format!("LoRA {rank}"), "low-rank updates", Family::Lora, Some(lora)),
        row("salt-high", format!("SALT {rank}"), SALT_TRAINS, Family::Salt, Some(salt)),
    ];
    let mut out = Vec::new();
    for exact in rows.map(|row| MethodRow { table: TableId::Precision, ..row }) {
        out.push(exact.clone());
        out.extend(REDUCED.map(|(precision, runs)| MethodRow {
            id: format!("{}-{}", exact.id, precision.name()),
            title: format!("{}, {}", exact.title, precision.name()),
            precision: Some(precision),
            against: Some(exact.id.clone()),
            by_name: !runs,
            ..exact.clone()
        }));
    }
    out
}
