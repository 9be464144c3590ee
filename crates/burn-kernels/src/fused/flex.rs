//! The operations by the kernels of `cpu-kernels`.

use super::backend::{
    Activation, AttentionState, ConvolutionState, Each, Geometry, KernelBackend, KernelGradients, LinearOutput,
    LinearState, Terms,
};
use super::packed::Weight;
use crate::ops::AdamW;
use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::TensorData;
use cpu_kernels::{
    self as kernels, AttentionShape, Before, Convolution, LastTerm, Matrix, RelativePositions, RightFactor,
};

pub(super) type Values = FloatTensor<Flex>;

/// A tensor whose elements lie one after the other.
struct Dense(Values);

impl Dense {
    fn new(tensor: &Values) -> Self {
        let layout = tensor.layout();
        if layout.is_contiguous() || layout.strides().iter().any(|&stride| stride < 0) {
            return Self(tensor.to_contiguous());
        }
        let strides: Vec<usize> = layout.strides().iter().map(|stride| stride.unsigned_abs()).collect();
        let values = &tensor.storage::<f32>()[layout.start_offset()..];
        let values = kernels::in_order(values, layout.shape().as_slice(), &strides);
        Self(Values::from_data(TensorData::new(values, layout.shape().clone())))
    }

    fn values(&self) -> &[f32] {
        let layout = self.0.layout();
        &self.0.storage::<f32>()[layout.start_offset()..][..layout.num_elements()]
    }
}

/// A matrix that is read as it lies, where it lies in some order of rows and columns.
pub(super) struct Strided(pub(super) Values);

impl Strided {
    pub(super) fn new(tensor: &Values) -> Self {
        let usable = tensor.layout().strides().iter().all(|&stride| stride > 0);
        Self(if usable { tensor.clone() } else { tensor.to_contiguous() })
    }

    pub(super) fn view(&self) -> Matrix<'_> {
        let layout = self.0.layout();
        let (shape, strides) = (layout.shape(), layout.strides());
        let values = &self.0.storage::<f32>()[layout.start_offset()..];
        Matrix::strided(values, [shape[0], shape[1]], [strides[0], strides[1]].map(isize::unsigned_abs))
    }
}

fn dims(tensor: &Values) -> Vec<usize> {
    tensor.layout().shape().as_slice().to_vec()
}

fn is_present(tensor: &Values) -> bool {
    tensor.layout().num_elements() > 0
}

fn tensor(values: Vec<f32>, shape: impl Into<Vec<usize>>) -> Values {
    Values::from_data(TensorData::new(values, shape.into()))
}

/// A sum of a known number of products, with what is made of it.
struct Sum<'a> {
    so_far: Before<'a>,
    missing: usize,
    activation: Activation,
    residual: Option<&'a [f32]>,
    /// What the activation was computed of, if that is kept.
    before_activation: Option<Vec<f32>>,
}

impl Sum<'_> {
    fn add(&mut self, a: Matrix, b: RightFactor) {
        let before = std::mem::replace(&mut self.so_far, Before::Nothing);
        let term = LastTerm { before, a, b, precision: precision() };
        self.missing -= 1;
        self.so_far = Before::Terms(match (self.missing, self.activation, self.residual) {
            (0, Activation::None, Some(residual)) => term.plus(residual),
            (0, Activation::Gelu, _) => term.gelu(),
            (0, Activation::GeluBesideSum, _) => {
                let [sum, activated] = term.sum_and_gelu();
                self.before_activation = Some(sum);
                activated
            }
            _ => term.sum(),
        });
    }
}

/// Adds a product to a sum that may not exist yet.
fn accumulate(sum: &mut Option<Vec<f32>>, a: Matrix, b: RightFactor) {
    let before = sum.take().map_or(Before::Nothing, Before::Terms);
    *sum = Some(LastTerm { before, a, b, precision: precision() }.sum());
}

/// What the user chose.
pub(super) fn precision() -> kernels::Precision {
    crate::precision::kernel(crate::precision())
}

fn product<'a>(a: Matrix<'a>, b: impl Into<RightFactor<'a>>) -> Vec<f32> {
    kernels::product(a, b, precision())
}

impl KernelBackend for Flex {
    fn kernel_linear(
        x: Values,
        weight: Values,
        left: Values,
        scale: Values,
        right: Values,
        first: Values,
        second: Values,
        bias: Values,
        residual: Values,
        gelu: bool,
    ) -> Values {
        let terms = Terms { weight, left, scale, right, first, second, bias };
        Self::linear_forward(x, &terms, residual, if gelu { Activation::Gelu } else { Activation::None }).y
    }

    fn kernel_conv2d(x: Values, weight: Values, bias: Values, geometry: Geometry) -> Values {
        let shape = convolution(&dims(&x), &weight, geometry);
        let bias = is_present(&bias).then(|| Dense::new(&bias));
        let bias = bias.as_ref().map(Dense::values);
        let [x, weight] = [&x, &weight].map(Dense::new);
        let (y, channels, [height, width]) = match geometry.transposed_to {
            None if geometry.is_depthwise => {
                (shape.depthwise(x.values(), weight.values(), bias), shape.channels[1], shape.output())
            }
            None => (shape.forward(x.values(), weight.values(), bias), shape.channels[1], shape.output()),
            Some(size) => (shape.transposed(weight.values(), x.values(), bias), shape.channels[0], size),
        };
        tensor(y, [shape.batch, channels, height, width])
    }

    fn kernel_batch_norm(x: Values, weight: Values, bias: Values, epsilon: f64) -> (Values, Values, Values) {
        let shape = dims(&x);
        let [values, weight, bias] = [&x, &weight, &bias].map(Dense::new);
        let normed = kernels::batch_norm(values.values(), shape[0], weight.values(), bias.values(), epsilon as f32);
        let [mean, variance] = [normed.mean, normed.variance].map(|values| tensor(values, [shape[1]]));
        (tensor(normed.y, shape), mean, variance)
    }

    fn kernel_batch_norm_by(
        x: Values,
        weight: Values,
        bias: Values,
        mean: Values,
        variance: Values,
        epsilon: f64,
    ) -> Values {
        let shape = dims(&x);
        let [values, weight, bias, mean, variance] = [&x, &weight, &bias, &mean, &variance].map(Dense::new);
        let statistics = [mean.values(), variance.values()];
        let (weight, bias) = (weight.values(), bias.values());
        tensor(kernels::batch_norm_by(statistics, values.values(), shape[0], weight, bias, epsilon as f32), shape)
    }

    fn kernel_prelu(x: Values, slope: Values) -> Values {
        let [values, slope] = [&x, &slope].map(Dense::new);
        tensor(kernels::prelu(values.values(), slope.values()[0]), dims(&x))
    }

    fn kernel_permute(x: Values, axes: Vec<usize>) -> Values {
        Dense::new(&x.permute(&axes)).0
    }

    fn kernel_halve_by_maximum(map: Values) -> Values {
        let [n, height, width, channels] = map.layout().shape().dims();
        let halved = kernels::halve_by_maximum(Dense::new(&map).values(), [n, height, width, channels]);
        tensor(halved, [n, height / 2, width / 2, channels])
    }

    fn kernel_gelu(x: Values) -> Values {
        let dense = Dense::new(&x);
        tensor(kernels::gelu(dense.values()), dims(&x))
    }

    fn kernel_layer_norm(x: Values, weight: Values, bias: Values, epsilon: f64) -> Values {
        let [values, weight, bias] = [&x, &weight, &bias].map(Dense::new);
        let y = kernels::layer_norm(values.values(), weight.values(), bias.values(), epsilon as f32);
        tensor(y, dims(&x))
    }

    fn kernel_self_attention(qkv: Values, by_row: Values, by_column: Values, heads: usize) -> Values {
        Self::self_attention_forward(qkv, [by_row, by_column], heads).0
    }

    fn kernel_cross_attention(query: Values, key: Values, value: Values, heads: usize) -> Values {
        Self::cross_attention_forward([query, key, value], heads).0
    }

    fn kernel_adamw(
        parameter: Values,
        first: Values,
        second: Values,
        gradient: Values,
        step: AdamW,
    ) -> (Values, Values, Values) {
        let gradient = Dense::new(&gradient);
        let [mut parameter, mut first, mut second] = [parameter, first, second].map(owned);
        let [bias_correction_1, bias_correction_2] = step.corrections();
        let step = kernels::AdamWStep {
            learning_rate: step.learning_rate,
            beta_1: step.beta_1,
            beta_2: step.beta_2,
            epsilon: step.epsilon,
            weight_decay: step.weight_decay,
            bias_correction_1,
            bias_correction_2,
        };
        kernels::adamw(step, parameter.storage_mut(), gradient.values(), first.storage_mut(), second.storage_mut());
        (parameter, first, second)
    }
}

/// A tensor that fills its storage in order, so that the whole storage may be written.
fn owned(values: Values) -> Values {
    let layout = values.layout();
    let fills =
        layout.is_contiguous() && layout.start_offset() == 0 && values.storage::<f32>().len() == layout.num_elements();
    if fills { values } else { Values::from_data(values.into_data()) }
}

impl KernelGradients for Flex {
    fn linear_forward(x: Values, terms: &Terms<Self>, residual: Values, activation: Activation) -> LinearOutput<Self> {
        let x = Strided::new(&x);
        let rows = dims(&x.0)[0];
        let [bias, residual] = [&terms.bias, &residual].map(|tensor| is_present(tensor).then(|| Dense::new(tensor)));
        let mut sum = Sum {
            so_far: bias.as_ref().map_or(Before::Nothing, |bias| Before::Bias(bias.values())),
            missing: [&terms.weight, &terms.scale, &terms.first].into_iter().filter(|term| is_present(term)).count(),
            activation,
            residual: residual.as_ref().map(Dense::values),
            before_activation: None,
        };
        if is_present(&terms.weight) {
            sum.add(x.view(), Weight::new(&terms.weight, rows).factor());
        }
        let coordinates = is_present(&terms.scale).then(|| {
            let scale = Dense::new(&terms.scale);
            let coordinates = product(x.view(), Weight::new(&terms.left, rows).factor());
            let scaled = kernels::scale_columns(&coordinates, scale.values());
            let r = scale.values().len();
            sum.add(Matrix::new(&scaled, rows, r), Weight::new(&terms.right, rows).factor());
            tensor(coordinates, [rows, r])
        });
        let inner = is_present(&terms.first).then(|| {
            let inner = product(x.view(), Weight::new(&terms.first, rows).factor());
            let t = dims(&terms.first)[1];
            sum.add(Matrix::new(&inner, rows, t), Weight::new(&terms.second, rows).factor());
            tensor(inner, [rows, t])
        });
        let Before::Terms(y) = sum.so_far else { unreachable!("checked by the caller: there is a term") };
        let outputs = y.len() / rows;
        let made = |values| tensor(values, [rows, outputs]);
        LinearOutput { y: made(y), sum: sum.before_activation.map(made), coordinates, inner }
    }

    fn linear_gradients(state: LinearState<Self>, dy: Values, wanted: Each<bool>) -> Each<Option<Values>> {
        let LinearState { x, sum, terms, coordinates, inner } = state;
        let mut gradients = Each { residual: wanted.residual.then(|| dy.clone()), ..Each::default() };
        let dy = match sum {
            Some(sum) => Self::gelu_gradient(sum, dy),
            None => dy,
        };
        let dy = Strided::new(&dy);
        let [rows, outputs] = [dims(&dy.0)[0], dims(&dy.0)[1]];
        let x = x.as_ref().map(Strided::new);
        let mut dx = None;

        if is_present(&terms.weight) {
            if let (true, Some(x)) = (wanted.weight, &x) {
                gradients.weight = Some(tensor(product(x.view().transposed(), dy.view()), dims(&terms.weight)));
            }
            if wanted.x {
                accumulate(&mut dx, dy.view(), Weight::transposed(&terms.weight, rows).factor());
            }
        }
        if is_present(&terms.scale) && (wanted.x || wanted.scale) {
            let scale = Dense::new(&terms.scale);
            let r = scale.values().len();
            let back = product(dy.view(), Weight::transposed(&terms.right, rows).factor());
            if let (true, Some(coordinates)) = (wanted.scale, &coordinates) {
                let dots = kernels::column_dots(Dense::new(coordinates).values(), &back, r);
                gradients.scale = Some(tensor(dots, [r]));
            }
            if wanted.x {
                let scaled = kernels::scale_columns(&back, scale.values());
                let left = Weight::transposed(&terms.left, rows);
                accumulate(&mut dx, Matrix::new(&scaled, rows, r), left.factor());
            }
        }
        if is_present(&terms.first) {
            let [inputs, t] = [dims(&terms.first)[0], dims(&terms.first)[1]];
            if wanted.x || wanted.first {
                let back = product(dy.view(), Weight::transposed(&terms.second, rows).factor());
                let back = Matrix::new(&back, rows, t);
                if let (true, Some(x)) = (wanted.first, &x) {
                    gradients.first = Some(tensor(product(x.view().transposed(), back), [inputs, t]));
                }
                if wanted.x {
                    accumulate(&mut dx, back, Weight::transposed(&terms.first, rows).factor());
                }
            }
            if let (true, Some(inner)) = (wanted.second, &inner) {
                let inner = Strided::new(inner);
                gradients.second = Some(tensor(product(inner.view().transposed(), dy.view()), dims(&terms.second)));
            }
        }
        if wanted.bias {
            let sums = kernels::column_sums(Dense::new(&dy.0).values(), outputs);
            gradients.bias = Some(tensor(sums, [outputs]));
        }
        gradients.x = dx.map(|dx| {
            let inputs = dx.len() / rows;
            tensor(dx, [rows, inputs])
        });
        gradients
    }

    fn conv2d_gradients(state: ConvolutionState<Self>, dy: Values, wanted: [bool; 3]) -> [Option<Values>; 3] {
        let ConvolutionState { x, input, weight, geometry } = state;
        let shape = convolution(&input, &weight, geometry);
        let dy = Dense::new(&dy);
        let is_transposed = geometry.transposed_to.is_some();
        let d_x = wanted[0].then(|| {
            let weight = Dense::new(&weight);
            let gradient = match is_transposed {
                false if geometry.is_depthwise => shape.depthwise_input_gradient(weight.values(), dy.values()),
                false => shape.input_gradient(weight.values(), dy.values()),
                true => shape.forward(dy.values(), weight.values(), None),
            };
            tensor(gradient, input)
        });
        let d_weight = x.filter(|_| wanted[1]).map(|x| {
            let x = Dense::new(&x);
            let gradient = match is_transposed {
                false if geometry.is_depthwise => shape.depthwise_weight_gradient(x.values(), dy.values()),
                false => shape.weight_gradient(x.values(), dy.values()),
                true => shape.weight_gradient(dy.values(), x.values()),
            };
            tensor(gradient, dims(&weight))
        });
        [d_x, d_weight, wanted[2].then(|| channel_sums(&dy))]
    }

    fn batch_norm_gradients(
        x: Values,
        statistics: [Values; 2],
        weight: Values,
        dy: Values,
        epsilon: f64,
    ) -> [Values; 3] {
        let shape = dims(&x);
        let [values, weight, dy] = [&x, &weight, &dy].map(Dense::new);
        let [mean, variance] = [&statistics[0], &statistics[1]].map(Dense::new);
        let known = [mean.values(), variance.values(), weight.values()];
        let [dx, d_weight, d_bias] =
            kernels::batch_norm_backward(values.values(), shape[0], known, dy.values(), epsilon as f32);
        let channels = [shape[1]];
        [tensor(dx, shape), tensor(d_weight, channels), tensor(d_bias, channels)]
    }

    fn prelu_gradients(x: Values, slope: Values, dy: Values) -> [Values; 2] {
        let [values, slope, dy] = [&x, &slope, &dy].map(Dense::new);
        let (dx, d_slope) = kernels::prelu_backward(values.values(), slope.values()[0], dy.values());
        [tensor(dx, dims(&x)), tensor(vec![d_slope], [1])]
    }

    fn halve_gradient(map: Values, dy: Values) -> Values {
        let [values, dy] = [&map, &dy].map(Dense::new);
        let size = map.layout().shape().dims();
        tensor(kernels::halve_by_maximum_backward(values.values(), size, dy.values()), size)
    }

    fn gelu_gradient(x: Values, dy: Values) -> Values {
        let [values, dy] = [&x, &dy].map(Dense::new);
        tensor(kernels::gelu_backward(values.values(), dy.values()), dims(&x))
    }

    fn layer_norm_gradients(
        x: Values,
        weight: Values,
        dy: Values,
        epsilon: f64,
        parameters: bool,
    ) -> (Values, Option<[Values; 2]>) {
        let [values, weight, dy] = [&x, &weight, &dy].map(Dense::new);
        let width = weight.values().len();
        let (dx, rest) =
            kernels::layer_norm_backward(values.values(), weight.values(), dy.values(), epsilon as f32, parameters);
        let rest = rest.map(|(weight, bias)| [weight, bias].map(|values| tensor(values, [width])));
        (tensor(dx, dims(&x)), rest)
    }

    fn self_attention_forward(qkv: Values, tables: [Values; 2], heads: usize) -> (Values, Values) {
        let shape = self_shape(&qkv, heads);
        let (qkv, tables) = (Dense::new(&qkv), Tables::new(&tables));
        let attended = kernels::self_attention(shape, qkv.values(), tables.as_ref().map(Tables::view));
        attended_tensors(shape, attended)
    }

    fn self_attention_gradients(
        state: AttentionState<Self>,
        dy: Values,
        tables: bool,
    ) -> (Values, Option<[Values; 2]>) {
        let AttentionState { inputs: [qkv, by_row, by_column], output, log_sum_exp, heads } = state;
        let shape = self_shape(&qkv, heads);
        let table_dims = [&by_row, &by_column].map(dims);
        let positions = Tables::new(&[by_row, by_column]);
        let [values, output, log_sum_exp, dy] = [&qkv, &output, &log_sum_exp, &dy].map(Dense::new);
        let gradients = kernels::self_attention_backward(
            shape,
            values.values(),
            positions.as_ref().map(Tables::view),
            output.values(),
            log_sum_exp.values(),
            dy.values(),
            tables,
        );
        let [rows, columns] = table_dims;
        let tables = gradients.by_row.zip(gradients.by_column);
        (
            tensor(gradients.qkv, dims(&qkv)),
            tables.map(|(by_row, by_column)| [tensor(by_row, rows), tensor(by_column, columns)]),
        )
    }

    fn cross_attention_forward(qkv: [Values; 3], heads: usize) -> (Values, Values) {
        let shape = cross_shape(&qkv, heads);
        let [query, key, value] = [&qkv[0], &qkv[1], &qkv[2]].map(Dense::new);
        attended_tensors(shape, kernels::cross_attention(shape, query.values(), key.values(), value.values()))
    }

    fn cross_attention_gradients(state: AttentionState<Self>, dy: Values) -> [Values; 3] {
        let AttentionState { inputs, output, log_sum_exp, heads } = state;
        let shape = cross_shape(&inputs, heads);
        let [query, key, value] = [&inputs[0], &inputs[1], &inputs[2]].map(Dense::new);
        let [output, log_sum_exp, dy] = [&output, &log_sum_exp, &dy].map(Dense::new);
        let (d_query, d_key, d_value) = kernels::cross_attention_backward(
            shape,
            query.values(),
            key.values(),
            value.values(),
            output.values(),
            log_sum_exp.values(),
            dy.values(),
        );
        let [query, key, value] = [&inputs[0], &inputs[1], &inputs[2]].map(dims);
        [tensor(d_query, query), tensor(d_key, key), tensor(d_value, value)]
    }
}

/// The convolution of maps of the sizes `input`; or the one whose way back is the transposed convolution of such maps.
fn convolution(input: &[usize], weight: &Values, geometry: Geometry) -> Convolution {
    let weight = dims(weight);
    let Geometry { stride, padding, dilation, transposed_to, .. } = geometry;
    let (channels, size) = match transposed_to {
        None => ([input[1], weight[0]], [input[2], input[3]]),
        Some(size) => ([weight[1], input[1]], size),
    };
    let kernel = [weight[2], weight[3]];
    Convolution { batch: input[0], channels, input: size, kernel, stride, padding, dilation }
}

/// The gradient of a bias.
fn channel_sums(dy: &Dense) -> Values {
    let shape = dims(&dy.0);
    tensor(kernels::channel_sums(dy.values(), [shape[0], shape[1]]), [shape[1]])
}

/// The tables of relative positions.
struct Tables([Dense; 2], [usize; 2]);

impl Tables {
    fn new(tables: &[Values; 2]) -> Option<Self> {
        is_present(&tables[0]).then(|| {
            let [by_row, by_column] = [&tables[0], &tables[1]].map(Dense::new);
            Self([by_row, by_column], [dims(&tables[0])[0], dims(&tables[1])[0]])
        })
    }

    fn view(&self) -> RelativePositions<'_> {
        RelativePositions { grid: self.1, by_row: self.0[0].values(), by_column: self.0[1].values() }
    }
}

fn self_shape(qkv: &Values, heads: usize) -> AttentionShape {
    let shape = dims(qkv);
    let head_dim = shape[2] / 3 / heads;
    attention_shape(shape[0], heads, [shape[1], shape[1]], head_dim)
}

fn cross_shape(qkv: &[Values; 3], heads: usize) -> AttentionShape {
    let (query, key) = (dims(&qkv[0]), dims(&qkv[1]));
    attention_shape(query[0], heads, [query[1], key[1]], query[2] / heads)
}

fn attention_shape(batch: usize, heads: usize, [queries, keys]: [usize; 2], head_dim: usize) -> AttentionShape {
    let scale = (head_dim as f32).powf(-0.5);
    AttentionShape { batch, heads, queries, keys, head_dim, scale, precision: precision() }
}

fn attended_tensors(shape: AttentionShape, attended: kernels::Attended) -> (Values, Values) {
    let output = tensor(attended.output, [shape.batch, shape.queries, shape.heads * shape.head_dim]);
    (output, tensor(attended.log_sum_exp, [shape.batch, shape.heads, shape.queries]))
}
