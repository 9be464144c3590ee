//! Antialiased bilinear resizing that agrees with Pillow's to the last bit on 8-bit images.
//!
//! The filter is a triangle whose half width is one output pixel when shrinking and one input pixel when enlarging. 8-bit
//! pixels are resized rows first, then columns, with weights in 22-bit fixed point and rounding after each pass.

use crate::Image;

/// The weights of one axis: for every output position the first input position and its weights.
struct Taps {
    first: Vec<usize>,
    count: Vec<usize>,
    weights: Vec<f64>,
    stride: usize,
}

impl Taps {
    fn new(input: usize, output: usize) -> Self {
        let scale = input as f64 / output as f64;
        let filter_scale = scale.max(1.0);
        let stride = filter_scale.ceil() as usize * 2 + 1;
        let (mut first, mut count) = (Vec::with_capacity(output), Vec::with_capacity(output));
        let mut weights = vec![0.0; output * stride];
        for (position, row) in weights.chunks_exact_mut(stride).enumerate() {
            let center = (position as f64 + 0.5) * scale;
            let low = (center - filter_scale + 0.5).max(0.0) as usize;
            let high = ((center + filter_scale + 0.5) as usize).min(input);
            let mut sum = 0.0;
            for (weight, x) in row.iter_mut().zip(low..high) {
                *weight = (1.0 - ((x as f64 - center + 0.5) / filter_scale).abs()).max(0.0);
                sum += *weight;
            }
            row.iter_mut().for_each(|w| *w /= sum);
            first.push(low);
            count.push(high - low);
        }
        Self { first, count, weights, stride }
    }

    /// The same weights in single precision throughout, in the order of torch's arithmetic: where a value lies between two
    /// grey levels, the last bit decides.
    fn single(input: usize, output: usize) -> (Self, Vec<f32>) {
        let mut taps = Self::new(input, output);
        let scale = input as f32 / output as f32;
        let (support, inverse) = if scale >= 1.0 { (scale, 1.0 / scale) } else { (1.0, 1.0) };
        let mut weights = vec![0f32; output * taps.stride];
        for (position, row) in weights.chunks_exact_mut(taps.stride).enumerate() {
            let center = scale * (position as f32 + 0.5);
            let low = (center - support + 0.5).max(0.0) as usize;
            let high = ((center + support + 0.5) as usize).min(input);
            let mut sum = 0.0;
            for (weight, offset) in row.iter_mut().zip(0..high - low) {
                *weight = (1.0 - (((offset + low) as f32 - center + 0.5) * inverse).abs()).max(0.0);
                sum += *weight;
            }
            row.iter_mut().for_each(|w| *w /= sum);
            (taps.first[position], taps.count[position]) = (low, high - low);
        }
        (taps, weights)
    }

    fn fixed(&self) -> Vec<i32> {
        self.weights.iter().map(|w| (w * f64::from(1 << BITS) + 0.5) as i32).collect()
    }

    /// (first input position, weights) for every output position.
    fn iter<'a, T>(&'a self, weights: &'a [T]) -> impl Iterator<Item = (usize, &'a [T])> {
        let rows = weights.chunks_exact(self.stride);
        self.first.iter().zip(&self.count).zip(rows).map(|((&first, &count), row)| (first, &row[..count]))
    }
}

const BITS: u32 = 22;
const HALF: i32 = 1 << (BITS - 1);

fn to_byte(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}

fn resize_bytes<const C: usize>(data: &[u8], size: (usize, usize), target: (usize, usize)) -> Vec<u8> {
    let ((width, height), (new_width, new_height)) = (size, target);
    let rows = if width == new_width { None } else { Some(resize_rows::<C>(data, width, new_width)) };
    let data = rows.as_deref().unwrap_or(data);
    if height == new_height {
        return data.to_vec();
    }
    let taps = Taps::new(height, new_height);
    let row = new_width * C;
    let mut out = vec![0u8; row * new_height];
    let mut sums = vec![0i32; row];
    for ((first, weights), target) in taps.iter(&taps.fixed()).zip(out.chunks_exact_mut(row)) {
        sums.fill(HALF);
        for (&weight, source) in weights.iter().zip(data[first * row..].chunks_exact(row)) {
            for (sum, &value) in sums.iter_mut().zip(source) {
                *sum = sum.wrapping_add(weight.wrapping_mul(i32::from(value)));
            }
        }
        for (byte, &sum) in target.iter_mut().zip(&sums) {
            *byte = to_byte(sum);
        }
    }
    out
}

fn resize_rows<const C: usize>(data: &[u8], width: usize, new_width: usize) -> Vec<u8> {
    let taps = Taps::new(width, new_width);
    let mut out = vec![0u8; data.len() / width * new_width];
    // A number of weights that the compiler knows makes this pass several times faster.
    match taps.count.iter().max().copied().unwrap_or(0) {
        0..=2 if width >= 2 => weigh_rows::<C, 2>(data, width, &taps, &mut out),
        0..=4 if width >= 4 => weigh_rows::<C, 4>(data, width, &taps, &mut out),
        0..=6 if width >= 6 => weigh_rows::<C, 6>(data, width, &taps, &mut out),
        0..=10 if width >= 10 => weigh_rows::<C, 10>(data, width, &taps, &mut out),
        _ => weigh_any::<C>(data, width, &taps, &mut out),
    }
    out
}

/// Rows with at most `K` weights an output pixel; unused weights are 0.
fn weigh_rows<const C: usize, const K: usize>(data: &[u8], width: usize, taps: &Taps, out: &mut [u8]) {
    let windows: Vec<(usize, [i32; K])> = taps
        .iter(&taps.fixed())
        .map(|(first, weights)| {
            let start = first.min(width - K);
            let mut padded = [0; K];
            padded[first - start..][..weights.len()].copy_from_slice(weights);
            (start * C, padded)
        })
        .collect();
    for (source, target) in data.chunks_exact(width * C).zip(out.chunks_exact_mut(windows.len() * C)) {
        for ((start, weights), pixel) in windows.iter().zip(target.chunks_exact_mut(C)) {
            let window = &source[*start..start + K * C];
            for (c, byte) in pixel.iter_mut().enumerate() {
                let mut sum = HALF;
                for (k, weight) in weights.iter().enumerate() {
                    sum = sum.wrapping_add(weight.wrapping_mul(i32::from(window[k * C + c])));
                }
                *byte = to_byte(sum);
            }
        }
    }
}

fn weigh_any<const C: usize>(data: &[u8], width: usize, taps: &Taps, out: &mut [u8]) {
    let fixed = taps.fixed();
    for (source, target) in data.chunks_exact(width * C).zip(out.chunks_exact_mut(taps.first.len() * C)) {
        for ((first, weights), pixel) in taps.iter(&fixed).zip(target.chunks_exact_mut(C)) {
            let mut sums = [HALF; C];
            for (&weight, values) in weights.iter().zip(source[first * C..].chunks_exact(C)) {
                for (sum, &value) in sums.iter_mut().zip(values) {
                    *sum = sum.wrapping_add(weight.wrapping_mul(i32::from(value)));
                }
            }
            for (byte, sum) in pixel.iter_mut().zip(sums) {
                *byte = to_byte(sum);
            }
        }
    }
}

/// Resizes an image to `width` x `height` pixels (both at least 1) with antialiasing, as Pillow's `BILINEAR`.
pub fn resize_image(image: &Image, width: usize, height: usize) -> Image {
    let target = (width.max(1), height.max(1));
    let data = match image.channels() {
        1 => resize_bytes::<1>(image.data(), image.size(), target),
        _ => resize_bytes::<3>(image.data(), image.size(), target),
    };
    Image::from_parts(target.0, target.1, image.channels(), data)
}

/// Resizes an image with the same filter in single precision, in the order of torchvision's arithmetic, without rounding:
/// `[height, width, channels]` in the image's grey levels.
pub fn resize_to_floats(image: &Image, width: usize, height: usize) -> Vec<f32> {
    let target = (width.max(1), height.max(1));
    match image.channels() {
        1 => resize_floats::<1>(image.data(), image.size(), target),
        _ => resize_floats::<3>(image.data(), image.size(), target),
    }
}

/// Resizes an image in floating point and rounds once at the end, as torchvision's `Resize` does with 8-bit tensors. Differs from
/// [`resize_image`] by one grey level in some pixels.
pub(crate) fn resize_rounded_once(image: &Image, width: usize, height: usize) -> Image {
    let (width, height) = (width.max(1), height.max(1));
    let values = resize_to_floats(image, width, height);
    let data = values.into_iter().map(|v| v.round_ties_even().clamp(0.0, 255.0) as u8).collect();
    Image::from_parts(width, height, image.channels(), data)
}

fn resize_floats<const C: usize>(data: &[u8], size: (usize, usize), target: (usize, usize)) -> Vec<f32> {
    let (taps, weights) = Taps::single(size.0, target.0);
    let row = target.0 * C;
    let mut rows = vec![0f32; size.1 * row];
    for (source, target) in data.chunks_exact(size.0 * C).zip(rows.chunks_exact_mut(row)) {
        for ((first, weights), pixel) in taps.iter(&weights).zip(target.chunks_exact_mut(C)) {
            for (&weight, values) in weights.iter().zip(source[first * C..].chunks_exact(C)) {
                for (sum, &value) in pixel.iter_mut().zip(values) {
                    *sum += weight * f32::from(value);
                }
            }
        }
    }
    let (taps, weights) = Taps::single(size.1, target.1);
    let mut out = vec![0f32; target.1 * row];
    for ((first, weights), target) in taps.iter(&weights).zip(out.chunks_exact_mut(row)) {
        for (&weight, source) in weights.iter().zip(rows[first * row..].chunks_exact(row)) {
            for (value, v) in target.iter_mut().zip(source) {
                *value += weight * v;
            }
        }
    }
    out
}
