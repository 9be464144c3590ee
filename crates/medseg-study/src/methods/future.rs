//! What the paper leaves for the future, as rows: ranks that the spectrum chooses, losses for thin structures.

use super::{Family, MethodRow, SALT_TRAINS, Scale, ScaledShares, TableId, row};
use medseg_train::losses::{LossTerm, LossTermKind};
use salt_peft::{AdapterConfig, Initialization, Rank, RankRule, SaltForm};

/// The rules, with their names in ids and titles. Gavish and Donoho's threshold is left out: where it finds nothing above the noise there
/// is no rank.
const RULES: [(&str, &str, RankRule); 4] = [
    ("energy", "90 % of the energy", RankRule::Energy { share: 0.9 }),
    ("effective", "effective rank", RankRule::EffectiveRank),
    ("stable", "stable rank", RankRule::StableRank),
    ("gap", "largest gap", RankRule::LargestGap),
];

/// Each rank rule beside a fixed share of the singular values with as many trained parameters, and each loss beside the profile's own. The
/// last of these, `salt-high`, is the row of the main table.
///
/// With an update of rank 4, so that the number of scaled values is what differs.
pub(super) fn future_rows(scale: Scale, main: ScaledShares, form: SaltForm, initial: Initialization) -> Vec<MethodRow> {
    let future = |row: MethodRow| MethodRow { table: TableId::FutureWork, ..row };
    let mut out = Vec::new();
    for (name, title, rule) in RULES {
        let (id, fixed) = (format!("salt-{name}"), format!("salt-{name}-fixed"));
        let mut adapter = scale.salt(main, scale.update(4), form, initial);
        adapter.svd_rank_pattern.clear();
        adapter.svd_rank = Rank::Rule(rule);
        // Found when the base is there: the rule needs its weights.
        let partner = AdapterConfig { svd_rank: Rank::fraction(0.5), ..adapter.clone() };
        let by_rule = "as SALT; the spectrum of each weight chooses how many values are scaled";
        let own = row(&id, format!("SALT, {title}"), by_rule, Family::Salt, Some(adapter));
        out.push(MethodRow { against: Some(fixed.clone()), ..future(own) });
        let title = format!("SALT, fixed share for {title}");
        let by_share = "as SALT; one share of the values in every weight, with as many parameters";
        let other = row(&fixed, title, by_share, Family::Salt, Some(partner));
        out.push(MethodRow { as_many_as: Some(id), ..future(other) });
    }
    let losses = [
        ("cldice", "clDice", LossTerm { weight: 0.5, kind: LossTermKind::ClDice { iterations: 10, smooth: 1.0 } }),
        ("boundary", "boundary loss", LossTerm { weight: 0.01, kind: LossTermKind::Boundary {} }),
    ];
    let rank = scale.update(256);
    let salt = || Some(scale.salt(main, rank, form, initial));
    for (name, title, term) in losses {
        let trains = format!("as SALT; {} times the {title} beside the other losses", term.weight);
        let own = row(&format!("salt-{name}"), format!("SALT {rank}, with {title}"), &trains, Family::Salt, salt());
        out.push(MethodRow { against: Some("salt-high".into()), more_losses: vec![term], ..future(own) });
    }
    out.push(future(row("salt-high", format!("SALT {rank}"), SALT_TRAINS, Family::Salt, salt())));
    out
}
