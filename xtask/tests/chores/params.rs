//! `cargo xtask params` from the outside.

use assert_cmd::Command;

#[test]
fn the_report_as_json_holds_the_papers_integers_and_a_reason_for_every_row() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_xtask")).args(["params", "--json"]).output().expect("the command runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["frozen"], 241_732_913);
    assert_eq!(report["parts"]["CLIP ViT-B/32"], 151_277_313);
    let rows = report["rows"].as_array().expect("rows");
    assert!(rows.iter().any(|row| row["trainable"] == 39_625_984 && row["verdict"] == "exact"));
    let (sam2, networks) = (&report["sam2"]["rows"], &report["networks"]);
    let all = [sam2, networks].into_iter().flat_map(|rows| rows.as_array().expect("rows")).chain(rows);
    assert!(all.clone().all(|row| row["why"].as_str().is_some_and(|why| !why.is_empty())));
    assert!(all.clone().any(|row| row["trainable"] == 19_705_116) && all.clone().any(|row| row["count"] == 6_500_734));
}

#[test]
fn the_table_names_every_verdict() {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).arg("params").output().expect("the command runs");
    let text = String::from_utf8(output.stdout).expect("text");
    for word in ["exact", "within rounding", "not reproducible", "14,996,256", "19,705,116", "43,829,313"] {
        assert!(text.contains(word), "{word}\n{text}");
    }
}
