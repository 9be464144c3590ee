//! Shapes of arguments: a mismatch is the caller's mistake, and the message names the argument.

/// # Panics
///
/// Where `argument` does not have as many elements as its shape has.
#[track_caller]
pub(crate) fn length(argument: &str, found: usize, shape: &[usize]) {
    let expected = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    assert!(expected == Some(found), "{argument} has {found} elements, expected {shape:?}");
}

/// The number of rows of `columns` elements in `argument`.
///
/// # Panics
///
/// Where `argument` is not a whole number of rows.
#[track_caller]
pub(crate) fn rows(argument: &str, length: usize, columns: usize) -> usize {
    assert!(
        columns > 0 && length.is_multiple_of(columns),
        "{argument} has {length} elements, expected rows of {columns}"
    );
    length / columns
}
