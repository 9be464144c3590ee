//! Self-attention in windows, with pooled queries where a stage begins.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::module::linear;
use burn::tensor::{Device, Tensor};

use crate::config::HieraBlockShape;
use crate::nn::attention;

/// Self-attention without relative positions. Its inside is as wide as its output.
#[derive(Module, Debug)]
pub struct HieraAttention {
    /// Query, key and value of every head: Burn's layout `[from, 3 * to]`, columns ordered (query | key | value), each
    /// (head, head_dim).
    pub qkv: Linear,
    /// The output projection.
    pub proj: Linear,
    num_heads: usize,
    window: usize,
    pub(super) pools: bool,
}

impl HieraAttention {
    pub(super) fn new(shape: HieraBlockShape, device: &Device) -> Self {
        Self {
            qkv: LinearConfig::new(shape.from, 3 * shape.to).init(device),
            proj: LinearConfig::new(shape.to, shape.to).init(device),
            num_heads: shape.heads,
            window: shape.window,
            pools: shape.pools,
        }
    }

    /// `[N, h, w, from]` to `[N, h, w, to]`, or to `[N, h / 2, w / 2, to]` where the queries are pooled.
    ///
    /// Windows that stick out over the grid are padded with zeros before the projection and the padding is not masked: its keys and
    /// values are the biases and take part in every softmax. Projecting first and padding with the bias is the same.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, height, width, _] = x.dims();
        let side = |length: usize| if self.window == 0 { length } else { self.window };
        let window = [side(height), side(width)];
        let [query, key, value] = self.project(x, [height.div_ceil(window[0]), width.div_ceil(window[1])], window);
        // Windows are of even sides here, so pooling the whole map pools every window by itself.
        let (query, half) = if self.pools { (halve_by_maximum(query), 2) } else { (query, 1) };
        let [n, rows, columns, channels] = query.dims();
        let pooled = window.map(|side| side / half);
        let scale = ((channels / self.num_heads) as f64).powf(-0.5);
        let out = attention(self.cut(query, pooled) * scale, self.cut(key, window), self.cut(value, window));
        let out = self.join(out, [n, rows, columns, channels], pooled);
        let [height, width] = [height / half, width / half];
        let out = if [rows, columns] == [height, width] { out } else { out.slice([0..n, 0..height, 0..width]) };
        self.proj.forward(out.reshape([n * height * width, channels])).reshape([n, height, width, channels])
    }

    /// Query, key and value of every token, padded to whole windows: three of `[N, h', w', to]`.
    ///
    /// Three products with slices of the weight instead of one whose result is sliced: the gradient of a slice is a tensor of the
    /// full size filled with zeros, which is small for the weight and large for the activations.
    fn project(&self, x: Tensor<4>, count: [usize; 2], window: [usize; 2]) -> [Tensor<4>; 3] {
        let [n, height, width, channels] = x.dims();
        let padding = [count[0] * window[0] - height, count[1] * window[1] - width];
        let flat = x.reshape([n * height * width, channels]);
        let weight = self.qkv.weight.val();
        let [_, columns] = weight.dims();
        let to = columns / 3;
        let bias = self.qkv.bias.as_ref().map(|bias| bias.val());
        std::array::from_fn(|index| {
            let weight = weight.clone().narrow(1, index * to, to);
            let bias = bias.clone().map(|bias| bias.narrow(0, index * to, to));
            if padding == [0, 0] {
                return linear(flat.clone(), weight, bias).reshape([n, height, width, to]);
            }
            let part = linear(flat.clone(), weight, None)
                .reshape([n, height, width, to])
                .pad([(0, 0), (0, padding[0]), (0, padding[1]), (0, 0)], 0.0f32);
            match bias {
                Some(bias) => part + bias.unsqueeze::<4>(),
                None => part,
            }
        })
    }

    /// `[N, h, w, heads * head_dim]` to `[N * windows * heads, tokens, head_dim]`.
    fn cut(&self, map: Tensor<4>, [rows, columns]: [usize; 2]) -> Tensor<3> {
        let [n, height, width, channels] = map.dims();
        let (down, across, heads) = (height / rows, width / columns, self.num_heads);
        map.reshape([n, down, rows, across, columns, heads, channels / heads]).permute([0, 1, 3, 5, 2, 4, 6]).reshape([
            n * down * across * heads,
            rows * columns,
            channels / heads,
        ])
    }

    /// The way back from [`cut`](Self::cut) to a map of these dimensions.
    fn join(&self, windows: Tensor<3>, dims: [usize; 4], [rows, columns]: [usize; 2]) -> Tensor<4> {
        let [n, height, width, channels] = dims;
        let heads = self.num_heads;
        windows
            .reshape([n, height / rows, width / columns, heads, rows, columns, channels / heads])
            .permute([0, 1, 4, 2, 5, 3, 6])
            .reshape(dims)
    }
}

/// The largest of every 2 x 2 cells, by channel: `[N, h, w, C]` to `[N, h / 2, w / 2, C]`.
pub(super) fn halve_by_maximum(map: Tensor<4>) -> Tensor<4> {
    let [n, height, width, channels] = map.dims();
    map.reshape([n, height / 2, 2, width / 2, 2, channels]).max_dim(4).max_dim(2).reshape([
        n,
        height / 2,
        width / 2,
        channels,
    ])
}
