//! Tiles cover an image, and their blended logits are those of the tiles.

use proptest::prelude::*;
use sam_preprocess::{FinishedRows, Image, Mosaic, PreprocessError, Tiling};

/// The rows of a mosaic whose every tile answers by a function of its number and the pixel of the image.
fn blended(tiling: Tiling, size: (usize, usize), logit: impl Fn(usize, usize, usize) -> f32) -> Vec<FinishedRows> {
    let grid = tiling.grid(size);
    let mut mosaic = Mosaic::new(&grid);
    let mut out = Vec::new();
    for (number, tile) in grid.tiles().enumerate() {
        let pixels = tile.rows.clone().flat_map(|y| tile.columns.clone().map(move |x| (x, y)));
        let logits: Vec<f32> = pixels.map(|(x, y)| logit(number, x, y)).collect();
        out.extend(mosaic.add(&logits).unwrap());
    }
    out
}

fn whole(rows: &[FinishedRows], width: usize) -> Vec<f32> {
    let mut out = Vec::new();
    for part in rows {
        assert_eq!(part.first * width, out.len(), "rows come once, from top to bottom");
        out.extend(&part.logits);
    }
    out
}

fn logit(x: usize, y: usize) -> f32 {
    ((x * 31 + y * 17) % 101) as f32 / 7.0 - 6.3
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 4))]

    /// Every pixel lies in a tile, no tile beyond the image, neighbours share what was asked for, and answers that agree are the
    /// answer.
    #[test]
    fn tiles_cover_and_agree(width in 1usize..300, height in 1usize..90, side in 1usize..80, share in 0f64..=0.5) {
        let tiling = Tiling::new(side, (side as f64 * share) as usize).unwrap();
        let grid = tiling.grid((width, height));
        let tiles: Vec<_> = grid.tiles().collect();
        prop_assert_eq!(tiles.len(), grid.count());
        let mut covered = vec![0u32; width * height];
        for tile in &tiles {
            prop_assert!(tile.columns.end <= width && tile.rows.end <= height);
            prop_assert_eq!((tile.columns.len(), tile.rows.len()), (side.min(width), side.min(height)));
            for y in tile.rows.clone() {
                tile.columns.clone().for_each(|x| covered[y * width + x] += 1);
            }
        }
        prop_assert!(covered.iter().all(|&n| n > 0));
        for pair in tiles.windows(2).filter(|pair| pair[0].rows == pair[1].rows) {
            prop_assert!(pair[1].columns.start + tiling.overlap() <= pair[0].columns.end);
            prop_assert!(pair[1].columns.start > pair[0].columns.start);
        }
        let rows = whole(&blended(tiling, (width, height), |_, x, y| logit(x, y)), width);
        prop_assert_eq!(rows.len(), width * height);
        for (at, found) in rows.iter().enumerate() {
            let expected = logit(at % width, at / width);
            prop_assert!((found - expected).abs() <= 1e-5 * (1.0 + expected.abs()), "{} {}", found, expected);
        }
    }

    /// A pixel of one tile only has that tile's logit exactly; the others lie between those of their tiles.
    #[test]
    fn away_from_seams_a_tile_stands_alone(width in 1usize..120, height in 1usize..50, side in 8usize..60, share in 0f64..=0.5) {
        let tiling = Tiling::new(side, (side as f64 * share) as usize).unwrap();
        let grid = tiling.grid((width, height));
        let own = |number: usize, x: usize, y: usize| logit(x, y) + number as f32 / 3.0;
        let rows = whole(&blended(tiling, (width, height), own), width);
        for (at, &found) in rows.iter().enumerate() {
            let (x, y) = (at % width, at / width);
            let here = grid.tiles().enumerate().filter(|(_, t)| t.columns.contains(&x) && t.rows.contains(&y));
            let values: Vec<f32> = here.map(|(number, _)| own(number, x, y)).collect();
            let (low, high) = values.iter().fold((f32::MAX, f32::MIN), |(l, h), &v| (l.min(v), h.max(v)));
            match values.as_slice() {
                [only] => prop_assert_eq!(found, *only),
                _ => prop_assert!(found >= low - 1e-4 && found <= high + 1e-4, "{} in {} to {}", found, low, high),
            }
        }
    }
}

#[test]
fn shares_fall_linearly_towards_a_seam() {
    let tiling = Tiling::new(8, 4).unwrap();
    let rows = whole(&blended(tiling, (12, 1), |number, _, _| number as f32), 12);
    assert_eq!(rows, [0.0, 0.0, 0.0, 0.0, 0.125, 0.375, 0.625, 0.875, 1.0, 1.0, 1.0, 1.0]);
    // Rows that a later row of tiles reaches are not given out before it.
    let rows = blended(tiling, (8, 20), |number, _, _| number as f32);
    assert_eq!(
        rows.iter().map(|r| (r.first, r.logits.len() / 8)).collect::<Vec<_>>(),
        [(0, 4), (4, 4), (8, 4), (12, 8)]
    );
}

#[test]
fn an_image_of_one_tile_is_that_tile() {
    let image = Image::new(5, 3, 3, (0..45).collect()).unwrap();
    let grid = Tiling::new(5, 2).unwrap().grid(image.size());
    let tiles: Vec<Image> = grid.tiles().map(|tile| image.tile(&tile)).collect();
    assert_eq!(tiles, std::slice::from_ref(&image));
    let grid = Tiling::new(3, 1).unwrap().grid(image.size());
    let parts: Vec<Image> = grid.tiles().map(|tile| image.tile(&tile)).collect();
    assert_eq!(parts.iter().map(Image::size).collect::<Vec<_>>(), [(3, 3), (3, 3)]);
    assert_eq!((parts[1].data()[0], parts[1].data()[26]), (6, 44));
}

#[test]
fn what_is_no_tiling_is_refused() {
    for (side, overlap) in [(0, 0), (4, 3), (1, 1)] {
        let error = Tiling::new(side, overlap).unwrap_err();
        assert!(matches!(error, PreprocessError::Tiling { .. }) && error.to_string().contains("half"), "{error}");
    }
    let tiling: Tiling = serde_json::from_str(r#"{"side":64,"overlap":8}"#).unwrap();
    assert_eq!((tiling.side(), tiling.overlap()), (64, 8));
    assert!(serde_json::from_str::<Tiling>(r#"{"side":64,"overlap":40}"#).is_err());
    assert!(serde_json::from_str::<Tiling>(r#"{"side":64,"overlap":4,"blend":1}"#).is_err());
    let grid = Tiling::new(2, 0).unwrap().grid((2, 2));
    let mut mosaic = Mosaic::new(&grid);
    assert!(matches!(mosaic.add(&[0.0; 3]), Err(PreprocessError::TileCount { tile: 0, expected: 4, found: 3 })));
    assert!(mosaic.add(&[0.0; 4]).unwrap().is_some());
    assert!(matches!(mosaic.add(&[0.0; 4]), Err(PreprocessError::TileCount { tile: 1, expected: 0, .. })));
}
