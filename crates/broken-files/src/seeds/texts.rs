//! Annotations, run files, tables, and the bits of masks.

use super::{Result, Seed, seed};
use medseg_train::config::{Architecture, RunConfig};
use salt_peft::AdapterConfig;
use sam_model::SamConfig;

const COCO: &str = r#"{"images":[{"id":1,"file_name":"1.png","width":16,"height":12},{"id":"b","file_name":"b.png","width":8.0,"height":8}],
"categories":[{"id":1,"name":"vessel"},{"id":26,"name":"stenosis"}],
"annotations":[
{"id":1,"image_id":1,"category_id":1,"segmentation":[[2,3,7,3,7,5,2.5,5.5],[0,0,15,0,15,11]],"iscrowd":0,"bbox":[2,3,5,2],"area":10},
{"id":2,"image_id":1,"category_id":26,"segmentation":{"size":[12,16],"counts":[20,5,167]},"iscrowd":1},
{"id":3,"image_id":"b","category_id":1,"segmentation":{"size":[8,8],"counts":"83;7e0"}}]}"#;

const RUN: &str = r#"seed = 1
devices = ["cpu", "cuda:1"]
[data]
path = "CHASE_DB1"
image-size = 256
[data.options]
range = { percentiles = [0.5, 99.5] }
pages = "minimum"
[model]
base = "sam-mini"
[adapter]
method = "salt"
include = ["qkv\\.weight$", "mlp"]
svd-rank = { rule = "fraction", share = 0.25 }
lora-rank = 16
train = ["norm", "prompt\\."]
[[loss]]
kind = "dice"
[[loss]]
kind = "focal"
alpha = 0.75
gamma = 3.0
[[loss]]
kind = "cl-dice"
weight = 0.5
iterations = 10
[training]
epochs = 40
learning-rate = 4e-3
patience = 5
"#;

pub(super) fn all() -> Result<Vec<Seed>> {
    let mut full = RunConfig::new("somewhere");
    full.adapter = Some(AdapterConfig::dora(4, 8.0).with_include(["lin1"]).with_exclude(["blocks\\.0"]).with_seed(3));
    full.model.architecture = Architecture::Custom(Box::new(SamConfig::mini()));
    let full = full.to_toml()?;
    let mask = |rows: u8, columns: u8, spacing: u8, pixels: &dyn Fn(usize) -> u8| -> Vec<u8> {
        let count = (2 * (usize::from(rows) + 1) * (usize::from(columns) + 1)).div_ceil(8);
        [rows, columns, spacing].into_iter().chain((0..count).map(pixels)).collect()
    };
    Ok(vec![
        seed("coco", "polygons-and-runs.json", COCO),
        seed(
            "coco",
            "one-polygon.json",
            r#"{"images":[{"id":7,"file_name":"7.png","width":9,"height":9}],"annotations":[{"id":1,"image_id":7,"category_id":0,"segmentation":[[1,1,8,1,4.5,8]]}]}"#,
        ),
        seed(
            "coco",
            "not-finite.json",
            r#"{"images":[{"id":7,"file_name":"7.png","width":9,"height":9}],"annotations":[{"id":1,"image_id":7,"category_id":0,"segmentation":[[1,NaN,8,1e999,4.5,8]]}],"categories":[]}"#,
        ),
        seed("run-file", "readme.toml", RUN),
        seed("run-file", "every-key.toml", full),
        seed("run-file", "short.toml", "[data]\npath = \"x\"\n[adapter]\nmethod = \"lora\"\nlora-rank = 4\n"),
        seed("split-table", "plain.csv", "id,split,fold\na,train,0\nb,val,1\n\"c,d\",test,2\n"),
        seed(
            "split-table",
            "released.csv",
            "imgs,labels,split,fold\n./images/12.png,./masks/12.png,training,0\nimages\\7.jpg,masks\\7.jpg,test,3.0\n",
        ),
        seed("split-table", "semicolons.csv", "\u{feff}ID;Split;patient\r\ne\u{301};Train;p1\r\n\r\n7;TEST;p2\r\n"),
        seed("metrics", "rings", mask(11, 15, 0, &|at| [0x7e, 0x81, 0xff, 0x18][at % 4])),
        seed("metrics", "wide", mask(5, 69, 0x24, &|at| (at * 37 % 251) as u8)),
        seed("metrics", "empty-and-full", mask(7, 7, 0x11, &|at| if at < 8 { 0 } else { 0xff })),
        seed("metrics", "one-pixel", vec![0, 0, 0, 1]),
    ])
}
