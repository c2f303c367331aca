// Vectors of GCC's kind, for every CPU: AVX-512, AVX2 and NEON come from this one text (aarch64: compiled for,
// never run). Shared by the kernels of training and of generation.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
constexpr long W = 16;  // floats in a vector
#elif defined(__AVX2__)
constexpr long W = 8;
#else
constexpr long W = 4;
#endif
typedef float vec __attribute__((vector_size(4 * W)));
typedef int32_t ivec __attribute__((vector_size(4 * W)));

static inline vec load(const float* p) { vec v; std::memcpy(&v, p, sizeof v); return v; }
static inline void store(float* p, vec v) { std::memcpy(p, &v, sizeof v); }
static inline vec splat(float x) { return x - vec{}; }
static inline float sum(vec v) { float s = 0; for (long i = 0; i < W; ++i) s += v[i]; return s; }

static inline float largest(const float* row, long n) {
    vec top = splat(-INFINITY);
    long i = 0;
    for (; i + W <= n; i += W) { vec v = load(row + i); top = v > top ? v : top; }
    float most = -INFINITY;
    for (long k = 0; k < W; ++k) most = std::max(most, top[k]);
    for (; i < n; ++i) most = std::max(most, row[i]);
    return most;
}

// e^x for x <= 88; below -87 it gives e^-87. Polynomial of Cephes' expf, relative error below 2e-7.
static inline vec exp(vec x) {
    x = x < -87.0f ? splat(-87.0f) : x;
    const vec magic = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number
    vec shifted = x * 1.44269504088896341f + magic;
    vec n = shifted - magic;
    vec r = x - n * 0.693359375f - n * -2.12194440e-4f;
    vec p = splat(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    ivec power, bias;
    std::memcpy(&power, &shifted, sizeof power);
    std::memcpy(&bias, &magic, sizeof bias);
    power = (power - bias + 127) << 23;
    vec scale;
    std::memcpy(&scale, &power, sizeof scale);
    return p * scale;
}
