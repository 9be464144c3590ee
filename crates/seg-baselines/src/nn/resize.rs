//! Resizing of maps as multiplication by small constant matrices: one arithmetic on every backend, and an exact gradient.

use burn::tensor::{Device, Tensor, TensorData};

/// Which points of two grids lie on each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Corners {
    /// The centres of the corner pixels (`align_corners = True` in PyTorch).
    Aligned,
    /// The edges of the image (`align_corners = False`).
    Free,
}

/// Bilinear resampling of `[N, C, h, w]` to `[N, C, height, width]`; no antialiasing where the map shrinks.
pub(crate) fn bilinear_resize(map: Tensor<4>, [height, width]: [usize; 2], corners: Corners) -> Tensor<4> {
    let [n, c, h, w] = map.dims();
    if [h, w] == [height, width] {
        return map;
    }
    let device = map.device();
    // The rows first: fewer columns are multiplied.
    let map = if h == height {
        map.reshape([n * c, h, w])
    } else {
        resize_matrix(h, height, corners, &device).unsqueeze::<3>().matmul(map.reshape([n * c, h, w]))
    };
    let map = if w == width {
        map
    } else {
        let columns = resize_matrix(w, width, corners, &device).transpose();
        map.reshape([n * c * height, w]).matmul(columns).reshape([n * c, height, width])
    };
    map.reshape([n, c, height, width])
}

fn resize_matrix(from: usize, to: usize, corners: Corners, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(resize_weights(from, to, corners), [to, from]), device)
}

/// The `to x from` matrix that resamples a signal of `from` samples to `to`, row-major.
fn resize_weights(from: usize, to: usize, corners: Corners) -> Vec<f32> {
    let mut matrix = vec![0f32; from * to];
    for i in 0..to {
        let place = match corners {
            Corners::Aligned if to == 1 => 0.0,
            Corners::Aligned => i as f64 * (from - 1) as f64 / (to - 1) as f64,
            Corners::Free => ((i as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0),
        };
        let low = (place.floor() as usize).min(from - 1);
        let high = (low + 1).min(from - 1);
        let fraction = place - low as f64;
        matrix[i * from + low] += (1.0 - fraction) as f32;
        matrix[i * from + high] += fraction as f32;
    }
    matrix
}

/// Every pixel as a square of `factor x factor`: `[N, C, h, w]` to `[N, C, h * factor, w * factor]`.
pub(crate) fn enlarge_nearest(map: Tensor<4>, factor: usize) -> Tensor<4> {
    if factor == 1 {
        return map;
    }
    let [n, c, h, w] = map.dims();
    map.reshape([n * c, h, 1, w, 1]).expand([n * c, h, factor, w, factor]).reshape([n, c, h * factor, w * factor])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_both_conventions() {
        assert_eq!(resize_weights(2, 3, Corners::Aligned), [1.0, 0.0, 0.5, 0.5, 0.0, 1.0]);
        assert_eq!(resize_weights(2, 4, Corners::Free), [1.0, 0.0, 0.75, 0.25, 0.25, 0.75, 0.0, 1.0]);
        assert_eq!(resize_weights(4, 2, Corners::Free), [0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5]);
        assert_eq!(resize_weights(3, 1, Corners::Aligned), [1.0, 0.0, 0.0]);
        assert_eq!(resize_weights(1, 2, Corners::Aligned), [1.0, 1.0]);
    }

    #[test]
    fn squares() {
        let device = Device::default();
        let map = Tensor::<4>::from_data([[[[1.0, 2.0]]]], &device);
        let enlarged: Vec<f32> = enlarge_nearest(map, 2).into_data().iter::<f32>().collect();
        assert_eq!(enlarged, [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]);
    }
}
