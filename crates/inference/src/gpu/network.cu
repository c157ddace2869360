// The network along traces (rules 4.2 and 4.4) for a GPU; `launches` says which kernel runs on what, and how weights are laid out.
//
// Every frame of a trace is the first of a window, and every layer is evaluated at all frames: with x the trace, R the rectifier
// and * a convolution of stride 1,
//
//     a1[p] = R(x * k1)[p]          m1[p] = max(a2[p], a2[p+1])
//     a2[p] = R(a1 * k2)[p]         a3[p] = R(m1 * k3)[p], taps 2 apart       m2[p] = max(a3[p], a3[p+2])
//                                   d[p] = R(dense(m2[p]))                    rate of window p = sum over j of v_j * d[p+4j]
//
// k2 and k3 filter in fours, as `winograd` says; the other sums are chains of fused multiply-adds in the order (tap, input) that begin at
// the bias, as in `convolution`. The numbers are those of the processor to the last bit: its operations in its order.
//
// A channel lies as in `features`: frame 8u + r is entry u of row r, so that a warp, whose lanes have eight frames each, reads and writes
// neighbours whatever it computes. It keeps OUTPUTS channels of them in registers, or the POINTS of both fours of FILTERED channels, so
// few that 16 warps have room on a multiprocessor. Weights are the same for all lanes and come from the caches, like the features. Layers
// pool (m1, m2) what they read. Nothing is exchanged between threads. Frames after a channel's end are whatever lies there; no window
// that counts depends on them.

enum { LANES = 32, PHASES = 8, OUTPUTS = 10, FILTERED = 6 };

// Frames and taps of a four, its points, and fours in eight frames.
enum { FOUR = 4, TAPS = 3, POINTS = FOUR + TAPS - 1, FOURS = PHASES / FOUR };

// The points are 0, this, twice this, both with the other sign, and infinity.
constexpr float A = 0.75f;

// In place of a member: the row's ensemble has no such one.
enum : unsigned { NO_MEMBER = 0xffffffffu };

// What a launch does: `struct Step` in launches.rs.
struct Step {
    unsigned inputs;
    unsigned outputs;
    unsigned taps;
    // Frames between taps; the kernels that filter know theirs.
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

// Where frame `frame`, counted from the first of eight, stands in a channel of `stride` frames.
__device__ __forceinline__ unsigned place(unsigned frame, unsigned long long stride)
{
    return frame % PHASES * static_cast<unsigned>(stride / PHASES) + frame / PHASES;
}

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

// Sums of a strip of COUNT outputs at this lane's frames. `features` is the first input at the first of them, of which the larger of each
// frame and the one POOL frames later counts; `weights` is the bias and then (taps, inputs, COUNT).
template <int COUNT, int POOL>
__device__ __forceinline__ void convolution(const float *__restrict__ features, const float *__restrict__ weights, const Step &step,
                                            float (&sums)[COUNT][PHASES])
{
    float weight[COUNT];
    load(weights, weight);
#pragma unroll
    for (int output = 0; output < COUNT; ++output)
#pragma unroll
        for (int phase = 0; phase < PHASES; ++phase)
            sums[output][phase] = weight[output];
    for (unsigned tap = 0; tap < step.taps; ++tap) {
        unsigned places[PHASES + POOL];
#pragma unroll
        for (int frame = 0; frame < PHASES + POOL; ++frame)
            places[frame] = place(frame + tap * step.dilation, step.stride);
        const float *channel = features;
        for (unsigned input = 0; input < step.inputs; ++input) {
            weights += COUNT;
            load(weights, weight);
            float values[PHASES + POOL];
#pragma unroll
            for (int frame = 0; frame < PHASES + POOL; ++frame)
                values[frame] = channel[places[frame]];
#pragma unroll
            for (int phase = 0; phase < PHASES; ++phase) {
                const float value = POOL == 0 ? values[phase] : fmaxf(values[phase], values[phase + POOL]);
#pragma unroll
                for (int output = 0; output < COUNT; ++output)
                    sums[output][phase] = fmaf(weight[output], value, sums[output][phase]);
            }
            channel += step.stride;
        }
    }
}

// Where a block's thread finds the first of its frames, in channel 0 of its row.
__device__ __forceinline__ size_t start(unsigned long long channels, unsigned long long stride)
{
    return blockIdx.z * channels * stride + blockIdx.y * LANES + threadIdx.x;
}

// All kernels: block (LANES), grid (strips, eights of LANES, rows), so that what reads the same features is close in time. `input` and
// `output` are (rows, channels, stride), `members` (rows).

// A layer with its rectifier, OUTPUTS channels per warp.
template <int POOL>
__device__ __forceinline__ void convolve_pooled(const float *__restrict__ input, float *__restrict__ output,
                                                const float *__restrict__ weights, const unsigned *__restrict__ members, const Step &step)
{
    const unsigned first = blockIdx.x * OUTPUTS;
    const unsigned member = members[blockIdx.z];
    if (member == NO_MEMBER)
        return;
    const size_t depth = static_cast<size_t>(step.taps) * step.inputs + 1;
    const float *strip = weights + member * step.member + step.layer + first * depth;
    float sums[OUTPUTS][PHASES];
    convolution<OUTPUTS, POOL>(input + start(step.input_channels, step.stride), strip, step, sums);
    float *to = output + start(step.output_channels, step.stride) + first * step.stride;
#pragma unroll
    for (int channel = 0; channel < OUTPUTS; ++channel) {
        if (first + channel >= step.outputs)
            return;
#pragma unroll
        for (int phase = 0; phase < PHASES; ++phase) {
            const float sum = sums[channel][phase];
            to[place(phase, step.stride)] = sum > 0.0f ? sum : 0.0f;
        }
        to += step.stride;
    }
}

// A filter in fours, with its rectifier, FILTERED channels per warp, of what is pooled as in `convolution`; its taps are 2 * POOL frames
// apart, or follow each other. Of a strip `weights` has the bias, filled up to whole loads, and then (groups, inputs, POINTS, FILTERED).
template <int POOL>
__device__ __forceinline__ void filter_pooled(const float *__restrict__ input, float *__restrict__ output,
                                              const float *__restrict__ weights, const unsigned *__restrict__ members, const Step &step)
{
    enum { LOAD = 4, BIAS = (FILTERED + LOAD - 1) / LOAD * LOAD };
    // Eight frames are two fours, one after the other or even and odd frames.
    enum { DILATION = POOL == 0 ? 1 : 2 * POOL, NEXT = DILATION == 1 ? FOUR : 1 };
    enum { FRAMES = (FOURS - 1) * NEXT + (POINTS - 1) * DILATION + 1 };
    const unsigned first = blockIdx.x * FILTERED;
    const unsigned member = members[blockIdx.z];
    if (member == NO_MEMBER)
        return;
    const unsigned groups = (step.taps + TAPS - 1) / TAPS;
    const size_t strip = BIAS + static_cast<size_t>(groups) * step.inputs * POINTS * FILTERED;
    weights += member * step.member + step.layer + first / FILTERED * strip;
    const float *bias = weights;
    weights += BIAS;
    float sums[POINTS][FILTERED][FOURS] = {};
    for (unsigned group = 0; group < groups; ++group) {
        unsigned places[FRAMES + POOL];
#pragma unroll
        for (int frame = 0; frame < FRAMES + POOL; ++frame)
            places[frame] = place(frame + group * TAPS * DILATION, step.stride);
        const float *channel = input + start(step.input_channels, step.stride);
        // The features of one input are on their way while those of the one before are multiplied.
        float ahead[FRAMES + POOL];
#pragma unroll
        for (int frame = 0; frame < FRAMES + POOL; ++frame)
            ahead[frame] = channel[places[frame]];
#pragma unroll 2
        for (unsigned from = 1; from <= step.inputs; ++from) {
            float d[FRAMES];
#pragma unroll
            for (int frame = 0; frame < FRAMES; ++frame)
                d[frame] = POOL == 0 ? ahead[frame] : fmaxf(ahead[frame], ahead[frame + POOL]);
            if (from < step.inputs)
                channel += step.stride;
#pragma unroll
            for (int frame = 0; frame < FRAMES + POOL; ++frame)
                ahead[frame] = channel[places[frame]];
            float points[POINTS][FOURS];
#pragma unroll
            for (int four = 0; four < FOURS; ++four) {
                const float *const at = d + four * NEXT;
                const float d0 = at[0], d1 = at[DILATION], d2 = at[2 * DILATION], d3 = at[3 * DILATION], d4 = at[4 * DILATION],
                            d5 = at[5 * DILATION];
                const float even = fmaf(-4 * A * A, d2, d4), odd = fmaf(-4 * A * A, d1, d3);
                const float even2 = fmaf(-A * A, d2, d4), odd2 = fmaf(-A * A, d1, d3);
                points[0][four] = fmaf(4 * A * A * A * A, d0, fmaf(-5 * A * A, d2, d4));
                points[1][four] = fmaf(A, odd, even);
                points[2][four] = fmaf(-A, odd, even);
                points[3][four] = fmaf(2 * A, odd2, even2);
                points[4][four] = fmaf(-2 * A, odd2, even2);
                points[5][four] = fmaf(4 * A * A * A * A, d1, fmaf(-5 * A * A, d3, d5));
            }
#pragma unroll
            for (int index = 0; index < POINTS * FILTERED; index += LOAD) {
                const float4 all = *reinterpret_cast<const float4 *>(weights + index);
                const float weight[LOAD] = {all.x, all.y, all.z, all.w};
#pragma unroll
                for (int of = 0; of < LOAD; ++of) {
                    const int point = (index + of) / FILTERED, output_of = (index + of) % FILTERED;
#pragma unroll
                    for (int four = 0; four < FOURS; ++four)
                        sums[point][output_of][four] = fmaf(weight[of], points[point][four], sums[point][output_of][four]);
                }
            }
            weights += POINTS * FILTERED;
        }
    }
    float *to = output + start(step.output_channels, step.stride) + first * step.stride;
#pragma unroll
    for (int channel = 0; channel < FILTERED; ++channel) {
        if (first + channel >= step.outputs)
            return;
#pragma unroll
        for (int four = 0; four < FOURS; ++four) {
            float m[POINTS];
#pragma unroll
            for (int point = 0; point < POINTS; ++point)
                m[point] = sums[point][channel][four];
            const float sum = m[1] + m[2], difference = m[1] - m[2], sum2 = m[3] + m[4], difference2 = m[3] - m[4];
            const float b = bias[channel];
            const float y[FOUR] = {
                (sum + sum2) + (m[0] + b),
                fmaf(A, difference, fmaf(2 * A, difference2, b)),
                fmaf(A * A, sum, fmaf(4 * A * A, sum2, b)),
                fmaf(A * A * A, difference, fmaf(8 * A * A * A, difference2, m[5] + b)),
            };
#pragma unroll
            for (int frame = 0; frame < FOUR; ++frame)
                to[place(four * NEXT + frame * DILATION, step.stride)] = y[frame] > 0.0f ? y[frame] : 0.0f;
        }
        to += step.stride;
    }
}

#define KERNEL(name, bounds)                                                                                                              \
    extern "C" __global__ void __launch_bounds__ bounds name(const float *__restrict__ input, float *__restrict__ output,                 \
                                                             const float *__restrict__ weights, const unsigned *__restrict__ members,     \
                                                             const Step step)

// conv1.
KERNEL(convolve, (LANES, 16))
{
    convolve_pooled<0>(input, output, weights, members, step);
}

// dense1.
KERNEL(pool_and_convolve, (LANES, 16))
{
    convolve_pooled<2>(input, output, weights, members, step);
}

// conv2.
KERNEL(filter, (LANES, 16))
{
    filter_pooled<0>(input, output, weights, members, step);
}

// conv3.
KERNEL(pool_and_filter, (LANES, 16))
{
    filter_pooled<1>(input, output, weights, members, step);
}

// dense2, whose one output is added to what the members before returned.
KERNEL(add_rates, (LANES))
{
    const unsigned member = members[blockIdx.z];
    if (member == NO_MEMBER)
        return;
    float sums[1][PHASES];
    convolution<1, 0>(input + start(step.input_channels, step.stride), weights + member * step.member + step.layer, step, sums);
    float *to = output + start(step.output_channels, step.stride);
#pragma unroll
    for (int phase = 0; phase < PHASES; ++phase)
        to[place(phase, step.stride)] += sums[0][phase];
}
