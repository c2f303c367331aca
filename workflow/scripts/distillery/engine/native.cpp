// The decoder's CPU kernels, called by MindSpore's Custom "aot" ops and compiled on first use by native.py.
//
// Every function has the signature of an aot kernel: params are the inputs, then the outputs; all float32, but for
// int32 labels and segments. One that does not return 0 ends the run: a number from the data that leads out of an array. Sums that cross tokens are taken over fixed blocks in a fixed order, so results do not
// depend on the number of threads.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "vectors.h"

#if defined(__AVX2__) && !defined(__AVX512F__)
constexpr long MR = 4;  // rows of a register tile: 4 x 2 vectors of 16 registers
#else
constexpr long MR = 8;  // 8 x 2 vectors and operands of 32 registers
#endif
typedef std::vector<float> buffer;
constexpr int32_t IGNORED = -100;
constexpr int OUTSIDE = 1;  // returned where a label has no column; data is held against it before the first step
constexpr long BLOCK = 64;     // query rows of an attention tile: its scores stay in the second-level cache
constexpr long CHUNKS = 32;    // fixed parts of a sum over tokens
constexpr long PIECE = 16384;  // elements of a part of a sum over a gradient

#define KERNEL(name) \
    extern "C" int name(int count, void** params, int* ndims, int64_t** shapes, const char** dtypes, void*, void*)
#define F(i) static_cast<float*>(params[i])
#define I(i) static_cast<int32_t*>(params[i])

static inline long padded(long n) { return (n + W - 1) / W * W; }

static long size(const int64_t* shape, int ndim) {
    long n = 1;
    for (int i = 0; i < ndim; ++i) n *= shape[i];
    return n;
}

// ---- A small matrix product: c[m, n] (+)= sum_k a[m*am + k*ak] * b[k*ldb + n], n in whole vectors.

template <int M, int N>
static inline void tile(const float* a, long am, long ak, const float* b, long ldb, float* c, long ldc, long K,
                        bool add) {
    vec acc[M][N];
    for (int m = 0; m < M; ++m)
        for (int n = 0; n < N; ++n) acc[m][n] = add ? load(c + m * ldc + n * W) : vec{};
    for (long k = 0; k < K; ++k) {
        vec row[N];
        for (int n = 0; n < N; ++n) row[n] = load(b + k * ldb + n * W);
        for (int m = 0; m < M; ++m) {
            vec left = splat(a[m * am + k * ak]);
            for (int n = 0; n < N; ++n) acc[m][n] += left * row[n];
        }
    }
    for (int m = 0; m < M; ++m)
        for (int n = 0; n < N; ++n) store(c + m * ldc + n * W, acc[m][n]);
}

template <int N>
static inline void column(long M, const float* a, long am, long ak, const float* b, long ldb, float* c, long ldc,
                          long K, bool add) {
    long m = 0;
    for (; m + MR <= M; m += MR) tile<MR, N>(a + m * am, am, ak, b, ldb, c + m * ldc, ldc, K, add);
    for (; m < M; ++m) tile<1, N>(a + m * am, am, ak, b, ldb, c + m * ldc, ldc, K, add);
}

static void product(long M, long columns, long K, const float* a, long am, long ak, const float* b, long ldb,
                    float* c, long ldc, bool add) {
    long n = 0;
    for (; n + 2 * W <= columns; n += 2 * W) column<2>(M, a, am, ak, b + n, ldb, c + n, ldc, K, add);
    for (; n < columns; n += W) column<1>(M, a, am, ak, b + n, ldb, c + n, ldc, K, add);
}

// ---- Attention: from linear_qkv's fused output to linear_proj's input; causal, inside segments.

struct Heads {  // shapes, read off the arguments
    long batch, seq, groups, repeats, dim, width, dim_pad, seq_pad;
    const float *cos, *sin;
    const int32_t* segments;

    Heads(int64_t* qkv, int64_t* angles, int64_t* output, const float* cos, const float* sin, const int32_t* segments)
        : batch(qkv[0]), seq(qkv[1]), width(qkv[2]), cos(cos), sin(sin), segments(segments) {
        dim = 2 * angles[2];
        long heads = output[2] / dim;
        groups = (width / dim - heads) / 2;
        repeats = heads / groups;
        dim_pad = padded(dim);
        seq_pad = padded(seq);
    }
    // Head `slot` of a group (query heads, then key, then value), first element of token 0.
    long offset(long b, long g, long slot) const { return (b * seq * width) + (g * (repeats + 2) + slot) * dim; }
    long out(long b, long g, long r) const { return b * seq * groups * repeats * dim + (g * repeats + r) * dim; }

    // Rows [seq, dim_pad] of a head, rotated and scaled; direction -1 rotates back.
    void pack(const float* from, long stride, long b, bool rotated, float scale, float* to) const {
        long half = dim / 2;
        for (long s = 0; s < seq; ++s) {
            const float* x = from + s * stride;
            float* y = to + s * dim_pad;
            const float *c = cos + (b * seq + s) * half, *n = sin + (b * seq + s) * half;
            if (rotated)
                for (long i = 0; i < half; ++i) {
                    y[i] = (x[i] * c[i] - x[i + half] * n[i]) * scale;
                    y[i + half] = (x[i + half] * c[i] + x[i] * n[i]) * scale;
                }
            else
                for (long i = 0; i < dim; ++i) y[i] = x[i] * scale;
            for (long i = dim; i < dim_pad; ++i) y[i] = 0;
        }
    }
    void unpack(const float* from, long b, bool rotated, float scale, float* to) const {
        long half = dim / 2;
        for (long s = 0; s < seq; ++s) {
            const float* x = from + s * dim_pad;
            float* y = to + s * width;
            const float *c = cos + (b * seq + s) * half, *n = sin + (b * seq + s) * half;
            if (rotated)
                for (long i = 0; i < half; ++i) {
                    y[i] = (x[i] * c[i] + x[i + half] * n[i]) * scale;
                    y[i + half] = (x[i + half] * c[i] - x[i] * n[i]) * scale;
                }
            else
                for (long i = 0; i < dim; ++i) y[i] = x[i] * scale;
        }
    }
    // [dim, seq_pad] from rows [seq, dim_pad]; the padding is 0.
    void transpose(const float* rows, float* to) const {
        for (long d = 0; d < dim; ++d) {
            for (long s = 0; s < seq; ++s) to[d * seq_pad + s] = rows[s * dim_pad + d];
            for (long s = seq; s < seq_pad; ++s) to[d * seq_pad + s] = 0;
        }
    }
};

struct Tile {  // query rows [first, first + rows) see keys [from, to)
    long first, rows, from, to, columns;
    bool mixed;  // more than one segment among these keys

    Tile(const Heads& h, const int32_t* segment, long first) : first(first) {
        rows = std::min(BLOCK, h.seq - first);
        to = first + rows;
        from = to;
        for (long i = first; i < to; ++i)
            for (long j = 0; j < from; ++j)
                if (segment[j] == segment[i]) from = j;
        from = from / W * W;
        columns = padded(to - from);
        mixed = false;
        for (long j = from; j < to; ++j) mixed |= segment[j] != segment[to - 1];
    }
    // Keys of this tile that row r sees are [from, end); those of another segment get -inf.
    long mask(long r, const int32_t* segment, float* scores) const {
        long row = first + r, end = row + 1 - from;
        if (mixed)
            for (long j = 0; j < end; ++j)
                if (segment[from + j] != segment[row]) scores[j] = -INFINITY;
        for (long j = end; j < columns; ++j) scores[j] = -INFINITY;
        return padded(end);
    }
};

// Scores of a row become exp(score - shift), 0 where masked; returns their sum.
static inline float exponentials(float* scores, long length, long columns, float shift) {
    vec total = {};
    for (long j = 0; j < length; j += W) {
        vec s = load(scores + j);
        vec e = s == -INFINITY ? vec{} : exp(s - shift);
        total += e;
        store(scores + j, e);
    }
    for (long j = length; j < columns; ++j) scores[j] = 0;
    return sum(total);
}

// inputs qkv [b, s, width], cos, sin [b, s, dim/2], segments [b, s]; outputs o [b, s, heads*dim], lse [b, heads, s]
KERNEL(attention_forward) {
    Heads h(shapes[0], shapes[1], shapes[4], F(1), F(2), I(3));
    const float scale = 1 / std::sqrt(float(h.dim));
    const long stride = h.groups * h.repeats * h.dim;
#pragma omp parallel for collapse(2) schedule(static)
    for (long b = 0; b < h.batch; ++b)
        for (long g = 0; g < h.groups; ++g) {
            const int32_t* segment = h.segments + b * h.seq;
            buffer rows(h.seq * h.dim_pad), keys(h.dim * h.seq_pad), values(h.seq * h.dim_pad);
            buffer scores(BLOCK * h.seq_pad), mixed(BLOCK * h.dim_pad);
            h.pack(F(0) + h.offset(b, g, h.repeats), h.width, b, true, 1, rows.data());
            h.transpose(rows.data(), keys.data());
            h.pack(F(0) + h.offset(b, g, h.repeats + 1), h.width, b, false, 1, values.data());
            std::vector<Tile> tiles;
            for (long first = 0; first < h.seq; first += BLOCK) tiles.emplace_back(h, segment, first);
            for (long r = 0; r < h.repeats; ++r) {
                float* lse = F(5) + (b * h.groups * h.repeats + g * h.repeats + r) * h.seq;
                h.pack(F(0) + h.offset(b, g, r), h.width, b, true, scale, rows.data());
                for (const Tile& t : tiles) {
                    product(t.rows, t.columns, h.dim, rows.data() + t.first * h.dim_pad, h.dim_pad, 1,
                            keys.data() + t.from, h.seq_pad, scores.data(), t.columns, false);
                    for (long i = 0; i < t.rows; ++i) {
                        float* s = scores.data() + i * t.columns;
                        long length = t.mask(i, segment, s);
                        float top = largest(s, length);
                        float total = exponentials(s, length, t.columns, top);
                        lse[t.first + i] = top + std::log(total);
                        for (long j = 0; j < length; j += W) store(s + j, load(s + j) * (1 / total));
                    }
                    product(t.rows, h.dim_pad, t.to - t.from, scores.data(), t.columns, 1,
                            values.data() + t.from * h.dim_pad, h.dim_pad, mixed.data(), h.dim_pad, false);
                    for (long i = 0; i < t.rows; ++i)
                        std::memcpy(F(4) + h.out(b, g, r) + (t.first + i) * stride, mixed.data() + i * h.dim_pad,
                                    h.dim * sizeof(float));
                }
            }
        }
    return 0;
}

// inputs do, qkv, cos, sin, segments, o, lse; output dqkv
KERNEL(attention_backward) {
    Heads h(shapes[1], shapes[2], shapes[0], F(2), F(3), I(4));
    const float scale = 1 / std::sqrt(float(h.dim));
    const long stride = h.groups * h.repeats * h.dim;
#pragma omp parallel for collapse(2) schedule(static)
    for (long b = 0; b < h.batch; ++b)
        for (long g = 0; g < h.groups; ++g) {
            const int32_t* segment = h.segments + b * h.seq;
            const long area = h.seq * h.dim_pad;
            buffer queries(area), keys(area), values(area), outer(area), dq(area), dk(area), dv(area);
            buffer keys_t(h.dim * h.seq_pad), values_t(h.dim * h.seq_pad), delta(h.seq);
            buffer p(BLOCK * h.seq_pad), ds(BLOCK * h.seq_pad);
            h.pack(F(1) + h.offset(b, g, h.repeats), h.width, b, true, 1, keys.data());
            h.transpose(keys.data(), keys_t.data());
            h.pack(F(1) + h.offset(b, g, h.repeats + 1), h.width, b, false, 1, values.data());
            h.transpose(values.data(), values_t.data());
            std::vector<Tile> tiles;
            for (long first = 0; first < h.seq; first += BLOCK) tiles.emplace_back(h, segment, first);
            for (long r = 0; r < h.repeats; ++r) {
                const float* lse = F(6) + (b * h.groups * h.repeats + g * h.repeats + r) * h.seq;
                h.pack(F(1) + h.offset(b, g, r), h.width, b, true, scale, queries.data());
                h.pack(F(0) + h.out(b, g, r), stride, b, false, 1, outer.data());
                for (long s = 0; s < h.seq; ++s) {
                    const float* o = F(5) + h.out(b, g, r) + s * stride;
                    float total = 0;
                    for (long d = 0; d < h.dim; ++d) total += outer[s * h.dim_pad + d] * o[d];
                    delta[s] = total;
                }
                for (const Tile& t : tiles) {
                    const float* q = queries.data() + t.first * h.dim_pad;
                    const float* o = outer.data() + t.first * h.dim_pad;
                    product(t.rows, t.columns, h.dim, q, h.dim_pad, 1, keys_t.data() + t.from, h.seq_pad, p.data(),
                            t.columns, false);
                    product(t.rows, t.columns, h.dim, o, h.dim_pad, 1, values_t.data() + t.from, h.seq_pad,
                            ds.data(), t.columns, false);
                    for (long i = 0; i < t.rows; ++i) {
                        float *pi = p.data() + i * t.columns, *di = ds.data() + i * t.columns;
                        long length = t.mask(i, segment, pi);
                        exponentials(pi, length, t.columns, lse[t.first + i]);
                        for (long j = 0; j < t.columns; j += W)
                            store(di + j, load(pi + j) * (load(di + j) - delta[t.first + i]));
                    }
                    const long keys_seen = t.to - t.from, at = t.from * h.dim_pad;
                    product(t.rows, h.dim_pad, keys_seen, ds.data(), t.columns, 1, keys.data() + at, h.dim_pad,
                            dq.data() + t.first * h.dim_pad, h.dim_pad, false);
                    product(keys_seen, h.dim_pad, t.rows, ds.data(), 1, t.columns, q, h.dim_pad, dk.data() + at,
                            h.dim_pad, true);
                    product(keys_seen, h.dim_pad, t.rows, p.data(), 1, t.columns, o, h.dim_pad, dv.data() + at,
                            h.dim_pad, true);
                }
                h.unpack(dq.data(), b, true, scale, F(7) + h.offset(b, g, r));
            }
            h.unpack(dk.data(), b, true, 1, F(7) + h.offset(b, g, h.repeats));
            h.unpack(dv.data(), b, false, 1, F(7) + h.offset(b, g, h.repeats + 1));
        }
    return 0;
}

// ---- RMSNorm: inputs x [t, n], weight [n], eps [1]; outputs y, 1/rms [t]

KERNEL(rms_forward) {
    const long tokens = shapes[0][0], n = shapes[0][1];
    const float *x = F(0), *weight = F(1), eps = *F(2);
#pragma omp parallel for schedule(static)
    for (long t = 0; t < tokens; ++t) {
        const float* row = x + t * n;
        vec squares = {};
        float rest = 0;
        long i = 0;
        for (; i + W <= n; i += W) { vec v = load(row + i); squares += v * v; }
        for (; i < n; ++i) rest += row[i] * row[i];
        float inverse = 1 / std::sqrt((sum(squares) + rest) / n + eps);
        F(4)[t] = inverse;
        for (long k = 0; k < n; ++k) F(3)[t * n + k] = row[k] * inverse * weight[k];
    }
    return 0;
}

// inputs dy, x, weight, 1/rms; outputs dx, dweight
KERNEL(rms_backward) {
    const long tokens = shapes[0][0], n = shapes[0][1];
    const float *dy = F(0), *x = F(1), *weight = F(2), *inverse = F(3);
    buffer partial(CHUNKS * n);
#pragma omp parallel for schedule(static)
    for (long c = 0; c < CHUNKS; ++c)
        for (long t = tokens * c / CHUNKS; t < tokens * (c + 1) / CHUNKS; ++t) {
            const float *g = dy + t * n, *row = x + t * n, r = inverse[t];
            float *dw = partial.data() + c * n, *dx = F(4) + t * n;
            vec dot = {};
            float rest = 0;
            long i = 0;
            for (; i + W <= n; i += W) dot += load(g + i) * load(weight + i) * load(row + i);
            for (; i < n; ++i) rest += g[i] * weight[i] * row[i];
            float shared = (sum(dot) + rest) * r * r / n;
            for (long k = 0; k < n; ++k) {
                dx[k] = r * (g[k] * weight[k] - row[k] * shared);
                dw[k] += g[k] * row[k] * r;
            }
        }
    for (long k = 0; k < n; ++k) {
        float total = 0;
        for (long c = 0; c < CHUNKS; ++c) total += partial[c * n + k];
        F(5)[k] = total;
    }
    return 0;
}

// ---- SwiGLU of [t, gate | up]

static inline vec sigmoid(vec x) { return 1.0f / (1.0f + exp(-x < 80.0f ? -x : splat(80.0f))); }

template <typename Body>  // body(vector of each input) at every position, the last ones through a padded copy
static inline void sweep(long n, std::initializer_list<const float*> in, std::initializer_list<float*> out, Body body) {
    const float* from[4];
    float* to[4];
    int ins = 0, outs = 0;
    for (auto p : in) from[ins++] = p;
    for (auto p : out) to[outs++] = p;
    long i = 0;
    for (; i + W <= n; i += W) {
        vec x[4], y[4];
        for (int k = 0; k < ins; ++k) x[k] = load(from[k] + i);
        body(x, y);
        for (int k = 0; k < outs; ++k) store(to[k] + i, y[k]);
    }
    if (i < n) {
        vec x[4] = {}, y[4];
        for (int k = 0; k < ins; ++k) std::memcpy(&x[k], from[k] + i, (n - i) * sizeof(float));
        body(x, y);
        for (int k = 0; k < outs; ++k) std::memcpy(to[k] + i, &y[k], (n - i) * sizeof(float));
    }
}

KERNEL(swiglu_forward) {
    const long tokens = shapes[1][0], n = shapes[1][1];
#pragma omp parallel for schedule(static)
    for (long t = 0; t < tokens; ++t) {
        const float* gate = F(0) + t * 2 * n;
        sweep(n, {gate, gate + n}, {F(1) + t * n}, [](vec* x, vec* y) { y[0] = x[0] * sigmoid(x[0]) * x[1]; });
    }
    return 0;
}

// inputs dy [t, n], gate | up [t, 2n]; output d(gate | up)
KERNEL(swiglu_backward) {
    const long tokens = shapes[0][0], n = shapes[0][1];
#pragma omp parallel for schedule(static)
    for (long t = 0; t < tokens; ++t) {
        const float* gate = F(1) + t * 2 * n;
        float* d = F(2) + t * 2 * n;
        sweep(n, {gate, gate + n, F(0) + t * n}, {d, d + n}, [](vec* x, vec* y) {
            vec s = sigmoid(x[0]);
            y[0] = x[2] * x[1] * s * (1.0f + x[0] * (1.0f - s));
            y[1] = x[2] * x[0] * s;
        });
    }
    return 0;
}

// ---- Cross entropy: inputs logits [t, v], labels [t]; outputs loss [t], log of the sum of exponentials [t]

KERNEL(entropy_forward) {
    const long tokens = shapes[0][0], n = shapes[0][1];
    int outside = 0;
#pragma omp parallel for schedule(static) reduction(| : outside)
    for (long t = 0; t < tokens; ++t) {
        const float* row = F(0) + t * n;
        F(2)[t] = F(3)[t] = 0;
        if (I(1)[t] == IGNORED) continue;
        if (I(1)[t] < 0 || I(1)[t] >= n) {
            outside = OUTSIDE;
            continue;
        }
        float top = largest(row, n), rest = 0;
        vec total = {};
        long i = 0;
        for (; i + W <= n; i += W) total += exp(load(row + i) - top);
        for (; i < n; ++i) rest += std::exp(row[i] - top);
        F(3)[t] = top + std::log(sum(total) + rest);
        F(2)[t] = F(3)[t] - row[I(1)[t]];
    }
    return outside;
}

// inputs dloss [t], logits, labels, log of the sum; output dlogits
KERNEL(entropy_backward) {
    const long tokens = shapes[1][0], n = shapes[1][1];
    int outside = 0;
#pragma omp parallel for schedule(static) reduction(| : outside)
    for (long t = 0; t < tokens; ++t) {
        float* d = F(4) + t * n;
        const int32_t label = I(2)[t];
        if (label < 0 || label >= n) {
            outside |= label == IGNORED ? 0 : OUTSIDE;
            std::memset(d, 0, n * sizeof(float));
            continue;
        }
        const float shift = F(3)[t], factor = F(0)[t];
        sweep(n, {F(1) + t * n}, {d}, [=](vec* x, vec* y) { y[0] = exp(x[0] - shift) * factor; });
        d[label] -= factor;
    }
    return outside;
}

// ---- Optimizer

// inputs: any number of gradients; output: their common L2 norm
KERNEL(gradient_norm) {
    struct Piece { const float* from; long length; };
    std::vector<Piece> pieces;
    for (int i = 0; i + 1 < count; ++i)
        for (long n = size(shapes[i], ndims[i]), at = 0; at < n; at += PIECE)
            pieces.push_back({F(i) + at, std::min(PIECE, n - at)});
    std::vector<double> squares(pieces.size());
#pragma omp parallel for schedule(static)
    for (size_t k = 0; k < pieces.size(); ++k) {
        double total = 0;
        for (long i = 0; i < pieces[k].length; ++i) total += double(pieces[k].from[i]) * pieces[k].from[i];
        squares[k] = total;
    }
    double total = 0;
    for (double s : squares) total += s;
    *F(count - 1) = std::sqrt(total);
    return 0;
}

// inputs: all p, all m, all v, all g, betas and decays [2 + n], hyper [5], clip; output clip. Updates p, m, v in place;
// hyper is Optimizer.hyper's.
KERNEL(adamw) {
    const int n = (count - 4) / 4;
    const float *constants = F(4 * n), *hyper = F(4 * n + 1), clip = *F(4 * n + 2);
    const float lr = hyper[0], eps = hyper[1], scale = hyper[2], b1 = constants[0], b2 = constants[1];
    struct Piece { int index; long at, length; };
    std::vector<Piece> pieces;
    for (int i = 0; i < n; ++i)
        for (long total = size(shapes[i], ndims[i]), at = 0; at < total; at += PIECE)
            pieces.push_back({i, at, std::min(PIECE, total - at)});
#pragma omp parallel for schedule(static)
    for (size_t k = 0; k < pieces.size(); ++k) {
        const int i = pieces[k].index;
        const long at = pieces[k].at;
        float *p = F(i) + at, *m = F(n + i) + at, *v = F(2 * n + i) + at, *g = F(3 * n + i) + at;
        const float decay = constants[2 + i] * scale;
        for (long j = 0; j < pieces[k].length; ++j) {
            float gradient = g[j] * clip;
            m[j] = b1 * m[j] + (1 - b1) * gradient;
            v[j] = b2 * v[j] + (1 - b2) * gradient * gradient;
            p[j] -= lr * (m[j] / (std::sqrt(v[j]) + eps) + decay * p[j]);
        }
    }
    *F(count - 1) = clip;
    return 0;
}
