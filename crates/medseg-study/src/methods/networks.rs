//! The classic networks of the main table as rows.

use super::{Family, MethodRow, everything, row};
use medseg_train::network::NetworkChoice;
use seg_baselines::{
    Architecture, DeepLabV3PlusConfig, RegUNetConfig, ResNetConfig, SegFormerConfig, SegNetConfig, UNetConfig,
    UnetrConfig,
};

const TRAINS: &str = "every weight, from random weights";

/// A network under the id of its row.
struct Entry {
    id: &'static str,
    title: &'static str,
    network: NetworkChoice,
    /// Run only where it is asked for by id.
    by_name: bool,
}

/// The six networks of the published table, in its order.
///
/// For the paper's recipe they have the sizes whose counts are the published ones, and the two that one would rather train under
/// their names can be asked for; elsewhere they are small, as the budget is, and four of them run when they are asked for.
pub(super) fn network_rows(published: bool) -> Vec<MethodRow> {
    let entries = if published { published_sizes() } else { small_sizes() };
    entries
        .into_iter()
        .map(|entry| MethodRow {
            network: Some(entry.network),
            by_name: entry.by_name,
            ..row(entry.id, entry.title.into(), TRAINS, Family::Classic, Some(everything()))
        })
        .collect()
}

fn published_sizes() -> Vec<Entry> {
    [
        ("unet", "U-Net", "unet", false),
        ("unetr", "UNETR", "unetr", false),
        ("regunet", "RegUNet", "regunet", false),
        ("regunet-decoder", "RegUNet with its decoder", "regunet-decoder", true),
        ("segnet", "SegNet", "segnet", false),
        ("deeplabv3-plus", "DeepLabV3+", "deeplabv3plus", false),
        ("segformer", "SegFormer on ResNet-101", "segformer-resnet101", false),
        ("segformer-mit-b3", "SegFormer on MiT-B3", "segformer-mit-b3", true),
    ]
    .map(|(id, title, preset, by_name)| Entry { id, title, network: NetworkChoice::Preset(preset.into()), by_name })
    .into()
}

/// One and a half to six million parameters: a quarter to a half of the published widths, SegFormer on its own smallest encoder,
/// RegUNet with its decoder, and dilations in proportion to inputs of 128 px.
fn small_sizes() -> Vec<Entry> {
    let unet = UNetConfig { channels: vec![16, 32, 64, 128, 256], ..UNetConfig::default() };
    let unetr = UnetrConfig { feature_size: 8, hidden_size: 192, mlp_dim: 768, num_heads: 3 };
    let regunet = RegUNetConfig { channels: 16, ..RegUNetConfig::with_decoder() };
    let segnet = SegNetConfig { widths: [16, 32, 64, 128, 128] };
    let deeplab = DeepLabV3PlusConfig {
        encoder: ResNetConfig { stem: 16, planes: [16, 32, 64, 128], ..ResNetConfig::resnet50() },
        decoder_channels: 64,
        atrous_rates: [3, 6, 9],
        ..DeepLabV3PlusConfig::default()
    };
    [
        ("unet", "U-Net", Architecture::UNet(unet), false),
        ("unetr", "UNETR", Architecture::Unetr(unetr), true),
        ("regunet", "RegUNet with its decoder", Architecture::RegUNet(regunet), true),
        ("segnet", "SegNet", Architecture::SegNet(segnet), true),
        ("deeplabv3-plus", "DeepLabV3+", Architecture::DeepLabV3Plus(deeplab), true),
        ("segformer", "SegFormer on MiT-B0", Architecture::SegFormer(SegFormerConfig::mit_b0()), false),
    ]
    .map(|(id, title, architecture, by_name)| Entry {
        id,
        title,
        network: NetworkChoice::Sizes(Box::new(architecture)),
        by_name,
    })
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(published: bool, size: usize) -> Vec<(String, usize)> {
        let count = |row: MethodRow| {
            let config = row.network.unwrap().config(size).unwrap();
            (row.id, config.num_parameters().unwrap())
        };
        network_rows(published).into_iter().map(count).collect()
    }

    #[test]
    fn the_rows_of_the_paper_have_the_published_sizes() {
        let expected = [
            ("unet", 6_500_734),
            ("unetr", 91_815_137),
            ("regunet", 7_863_456),
            ("regunet-decoder", 11_784_384),
            ("segnet", 29_443_585),
            ("deeplabv3-plus", 45_669_713),
            ("segformer", 43_829_313),
            ("segformer-mit-b3", 44_598_209),
        ];
        assert_eq!(counts(true, 512), expected.map(|(id, count)| (id.to_owned(), count)));
    }

    #[test]
    fn the_rows_of_a_small_budget_are_small_and_two_run_unasked() {
        for (id, count) in counts(false, 128) {
            assert!((1_000_000..7_000_000).contains(&count), "{id}: {count}");
        }
        let rows = network_rows(false);
        let unasked: Vec<&str> = rows.iter().filter(|row| !row.by_name).map(|row| row.id.as_str()).collect();
        assert_eq!(unasked, ["unet", "segformer"]);
        assert!(rows.iter().all(|row| row.from_random && !row.family.is_efficient()));
        // Every row of the published table has one here, under the same id.
        let all = network_rows(true);
        assert!(rows.iter().all(|row| all.iter().any(|other| other.id == row.id && !other.by_name)));
    }
}
