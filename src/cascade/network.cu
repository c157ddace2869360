// The network along traces (rules 4.2 and 4.4) for a GPU; `launches` says which kernel runs on what, and how weights are laid out.
//
// Every frame of a trace is the first of a window, and every layer is evaluated at all frames: with x the trace, R the rectifier
// and * a convolution of stride 1,
//
//     a1[p] = R(x * k1)[p]          m1[p] = max(a2[p], a2[p+1])
//     a2[p] = R(a1 * k2)[p]         a3[p] = R(m1 * k3)[p], taps 2 apart       m2[p] = max(a3[p], a3[p+2])
//                                   d[p] = R(dense(m2[p]))                    rate of window p = sum over j of v_j * d[p+4j]
//
// Every sum is one chain of fused multiply-adds in the order (tap, input) that begins at the bias, as in `convolution`, whose
// numbers these are to the last bit.
//
// A warp computes OUTPUTS channels at TILE frames. Each of its lanes has FRAMES of them, LANES apart, so that the warp's loads are
// neighbours, and keeps OUTPUTS * FRAMES sums in registers: for that many multiply-adds it loads FRAMES features and OUTPUTS weights.
// These are the same for all lanes and come, like the features, which the warps of a block share, from the first-level cache.
// Nothing is exchanged between threads. Frames after a row's end read what lies there; no window that counts reaches them.

enum { LANES = 32, FRAMES = 8, TILE = LANES * FRAMES, OUTPUTS = 10 };

// The row's ensemble has no such member.
enum : unsigned { NO_MEMBER = 0xffffffffu };

// What a launch does: `struct Step` in launches.rs.
struct Step {
    unsigned inputs;
    unsigned outputs;
    unsigned taps;
    // Frames between taps, or between the two that are pooled.
    unsigned dilation;
    // Frames of a channel.
    unsigned long long stride;
    // Channels of a row in the input and in the output.
    unsigned long long input_channels;
    unsigned long long output_channels;
    // First weight of the layer within a member, and weights of a member.
    unsigned long long layer;
    unsigned long long member;
};

template <int COUNT>
__device__ __forceinline__ void load(const float *from, float (&weights)[COUNT])
{
    if (COUNT % 2 == 0) {
#pragma unroll
        for (int pair = 0; pair < COUNT / 2; ++pair) {
            const float2 both = reinterpret_cast<const float2 *>(from)[pair];
            weights[2 * pair] = both.x;
            weights[2 * pair + 1] = both.y;
        }
    } else {
#pragma unroll
        for (int output = 0; output < COUNT; ++output)
            weights[output] = from[output];
    }
}

// Sums of a strip of COUNT outputs at this lane's frames. `features` is the first input at the first of them; `weights` is the bias
// and then (taps, inputs, COUNT).
template <int COUNT>
__device__ __forceinline__ void convolution(const float *__restrict__ features, const float *__restrict__ weights, const Step &step,
                                            float (&sums)[COUNT][FRAMES])
{
    float weight[COUNT];
    load(weights, weight);
#pragma unroll
    for (int output = 0; output < COUNT; ++output)
#pragma unroll
        for (int frame = 0; frame < FRAMES; ++frame)
            sums[output][frame] = weight[output];
    for (unsigned tap = 0; tap < step.taps; ++tap) {
        const float *channel = features + static_cast<size_t>(tap) * step.dilation;
#pragma unroll 2
        for (unsigned input = 0; input < step.inputs; ++input) {
            weights += COUNT;
            load(weights, weight);
            float values[FRAMES];
#pragma unroll
            for (int frame = 0; frame < FRAMES; ++frame)
                values[frame] = channel[frame * LANES];
#pragma unroll
            for (int output = 0; output < COUNT; ++output)
#pragma unroll
                for (int frame = 0; frame < FRAMES; ++frame)
                    sums[output][frame] = fmaf(weight[output], values[frame], sums[output][frame]);
            channel += step.stride;
        }
    }
}

// All kernels: block (LANES, strips or channels), grid (tiles, rows, groups of strips or channels). `input` and `output` are
// (rows, channels, stride), `members` (rows).

// A layer with its rectifier, OUTPUTS channels per warp.
extern "C" __global__ void __launch_bounds__(256, 2)
    convolve(const float *__restrict__ input, float *__restrict__ output, const float *__restrict__ weights,
             const unsigned *__restrict__ members, const Step step)
{
    const unsigned first = (blockIdx.z * blockDim.y + threadIdx.y) * OUTPUTS;
    const unsigned member = members[blockIdx.y];
    if (first >= step.outputs || member == NO_MEMBER)
        return;
    const size_t row = blockIdx.y;
    const size_t start = static_cast<size_t>(blockIdx.x) * TILE + threadIdx.x;
    const size_t depth = static_cast<size_t>(step.taps) * step.inputs + 1;
    const float *strip = weights + member * step.member + step.layer + first * depth;
    float sums[OUTPUTS][FRAMES];
    convolution<OUTPUTS>(input + row * step.input_channels * step.stride + start, strip, step, sums);
#pragma unroll
    for (int channel = 0; channel < OUTPUTS; ++channel) {
        if (first + channel >= step.outputs)
            return;
        float *to = output + (row * step.output_channels + first + channel) * step.stride + start;
#pragma unroll
        for (int frame = 0; frame < FRAMES; ++frame) {
            const float sum = sums[channel][frame];
            to[frame * LANES] = sum > 0.0f ? sum : 0.0f;
        }
    }
}

// The last layer, whose one output is added to what the members before returned.
extern "C" __global__ void __launch_bounds__(256)
    add_rates(const float *__restrict__ input, float *__restrict__ output, const float *__restrict__ weights,
              const unsigned *__restrict__ members, const Step step)
{
    const unsigned member = members[blockIdx.y];
    if (member == NO_MEMBER)
        return;
    const size_t row = blockIdx.y;
    const size_t start = static_cast<size_t>(blockIdx.x) * TILE + threadIdx.x;
    float sums[1][FRAMES];
    convolution<1>(input + row * step.input_channels * step.stride + start, weights + member * step.member + step.layer, step, sums);
    float *to = output + row * step.output_channels * step.stride + start;
#pragma unroll
    for (int frame = 0; frame < FRAMES; ++frame)
        to[frame * LANES] += sums[0][frame];
}

// The larger of each frame and the one `dilation` frames later, one channel per warp.
extern "C" __global__ void __launch_bounds__(256)
    pool(const float *__restrict__ input, float *__restrict__ output, const float *, const unsigned *__restrict__ members,
         const Step step)
{
    const unsigned channel = blockIdx.z * blockDim.y + threadIdx.y;
    if (channel >= step.outputs || members[blockIdx.y] == NO_MEMBER)
        return;
    const size_t row = blockIdx.y;
    const size_t start = static_cast<size_t>(blockIdx.x) * TILE + threadIdx.x;
    const float *from = input + (row * step.input_channels + channel) * step.stride + start;
    float *to = output + (row * step.output_channels + channel) * step.stride + start;
#pragma unroll
    for (int frame = 0; frame < FRAMES; ++frame) {
        const float one = from[frame * LANES], other = from[frame * LANES + step.dilation];
        to[frame * LANES] = one > other ? one : other;
    }
}
