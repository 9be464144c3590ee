use crate::support::{Inputs, compare};
use burn_kernels::{Heads, RelativeTables, cross_attention, self_attention};
use proptest::prelude::*;

fn check_self(batch: usize, grid: [usize; 2], heads: usize, head_dim: usize, relative: bool) {
    let (tokens, channels) = (grid[0] * grid[1], heads * head_dim);
    let mut inputs =
        Inputs::new(&[&[batch, tokens, 3 * channels], &[grid[0], grid[0], head_dim], &[grid[1], grid[1], head_dim]]);
    inputs.tracked = vec![true, relative, relative];
    compare(&format!("{batch} {grid:?} {heads} {head_dim} {relative}"), &inputs, |tensors| {
        let qkv = tensors[0].clone().reshape([batch, tokens, 3 * channels]);
        let tables = relative.then(|| RelativeTables {
            by_row: tensors[1].clone().reshape([grid[0], grid[0], head_dim]),
            by_column: tensors[2].clone().reshape([grid[1], grid[1], head_dim]),
        });
        self_attention(qkv, Heads { count: heads, grid: Some(grid) }, tables)
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn self_attention_and_all_its_gradients(
        batch in 1usize..4,
        // With one row or column that table's gradient is zero, and only rounding would be compared.
        grid in [2usize..8, 2usize..8],
        heads in 1usize..4,
        head_dim in 1usize..20,
        relative in any::<bool>(),
    ) {
        check_self(batch, grid, heads, head_dim, relative);
    }

    #[test]
    fn cross_attention_and_all_its_gradients(
        batch in 1usize..4,
        queries in 1usize..40,
        keys in 1usize..40,
        heads in 1usize..4,
        head_dim in 1usize..20,
    ) {
        let channels = heads * head_dim;
        let inputs = Inputs::new(&[&[batch, queries, channels], &[batch, keys, channels], &[batch, keys, channels]]);
        compare(&format!("{batch} {queries} {keys} {heads} {head_dim}"), &inputs, |tensors| {
            let query = tensors[0].clone().reshape([batch, queries, channels]);
            let [key, value] = [1, 2].map(|index: usize| tensors[index].clone().reshape([batch, keys, channels]));
            cross_attention(query, key, value, heads)
        });
    }
}

#[test]
fn the_sizes_of_a_model() {
    check_self(3, [14, 14], 4, 64, true);
    check_self(1, [24, 16], 2, 64, true);
    check_self(1, [20, 20], 2, 64, false);
}
