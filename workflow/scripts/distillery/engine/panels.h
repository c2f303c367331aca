// Weights as generation's kernels read them, made by panels.py: panels [outputs / 32][inputs][32], each matrix in a
// type of its own: float32, the upper half of it (bfloat16), float16, or int8.
//
// The 2-byte types are widened, exactly, as they are read, so that their sums are those of a float32 copy. In a panel
// of int8, 32 float32 scales go before each BLOCK of inputs: a weight is its number times the scale of its output and
// block, rounded to float32, and sums are again those of a float32 copy of these products.
#pragma once

#if defined(__F16C__) || defined(__AVX2__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <type_traits>

#include "vectors.h"

constexpr long LANES = 32, VECTORS = LANES / W;  // outputs of a panel
constexpr long BLOCK = 64;                       // inputs that share a scale
constexpr long SCALES = sizeof(float);           // rows of LANES bytes that the scales of a block take
constexpr long LINE = 64, AHEAD = 4096;          // bytes that memory sends together; how far ahead they are asked for

typedef uint16_t half_vec __attribute__((vector_size(2 * W)));
typedef uint32_t word_vec __attribute__((vector_size(4 * W)));

static inline vec weights(const float* p) { return load(p); }
static inline vec weights(const uint16_t* p) {
    vec v;
#if defined(__AVX512F__)  // of the plain text below GCC 12 makes five instructions where one does
    __m512i word = _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))), 16);
#elif defined(__AVX2__)
    __m256i word = _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))), 16);
#else
    half_vec upper;
    std::memcpy(&upper, p, sizeof upper);
    word_vec word = __builtin_convertvector(upper, word_vec) << 16;
#endif
    std::memcpy(&v, &word, sizeof v);
    return v;
}

struct half { uint16_t bits; };  // a float16

static inline vec weights(const half* p) {
    vec v;
#if defined(__AVX512F__)
    __m512 wide = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    std::memcpy(&v, &wide, sizeof v);
#elif defined(__F16C__) && defined(__AVX2__)
    __m256 wide = _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    std::memcpy(&v, &wide, sizeof v);
#else
    half_vec bits;
    std::memcpy(&bits, p, sizeof bits);
    word_vec word = __builtin_convertvector(bits, word_vec), body = (word & 0x7fffu) << 13;
    // exponents are biased by 15 and by 127; those of infinity and NaN stay the largest
    const word_vec unit = word_vec{} + (1u << 23), shift = 112u * unit;
    const ivec subnormal = body < unit, endless = body >= 31u * unit;
    body += subnormal ? shift + unit : endless ? shift + shift : shift;
    std::memcpy(&v, &body, sizeof v);
    v = subnormal ? v - splat(6.103515625e-05f) : v;  // 2^-14, the leading one that a subnormal has not
    std::memcpy(&body, &v, sizeof v);
    body |= (word & 0x8000u) << 16;
    std::memcpy(&v, &body, sizeof v);
#endif
    return v;
}

typedef int8_t byte_vec __attribute__((vector_size(W)));

static inline vec weights(const int8_t* p) {  // without their scale
#if defined(__AVX512F__)  // of the plain text below GCC 12 makes ten times as many instructions
    __m512 wide = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#elif defined(__AVX2__)
    __m256 wide = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
#else
    byte_vec bytes;
    std::memcpy(&bytes, p, sizeof bytes);
    vec wide = __builtin_convertvector(__builtin_convertvector(bytes, ivec), vec);
#endif
    vec v;
    std::memcpy(&v, &wide, sizeof v);
    return v;
}

// What MindSpore calls a type: calls run with a null pointer to it.
template <class Run>
static inline auto typed(const char* name, Run run) {
    if (name[0] == 'u') return run(static_cast<const uint16_t*>(nullptr));
    if (name[0] == 'i') return run(static_cast<const int8_t*>(nullptr));
    if (name[5] == '1') return run(static_cast<const half*>(nullptr));
    return run(static_cast<const float*>(nullptr));
}

// Rows of LANES numbers that `inputs` take in a panel.
template <class S>
constexpr long rows_of(long inputs) {
    return std::is_same<S, int8_t>::value ? inputs + SCALES * ((inputs + BLOCK - 1) / BLOCK) : inputs;
}

// Inputs of a matrix whose panels have so many rows.
static inline long inputs_of(const char* name, long rows) {
    long block = BLOCK + SCALES, rest = rows % block;
    return name[0] == 'i' ? rows / block * BLOCK + (rest ? rest - SCALES : 0) : rows;
}

// Calls run(k, row) for the first inputs of P panels, which lie `apart` numbers from one another: row[P * V] are the
// weights of one, from each panel's vector `first` on.
template <int V, int P, class S, class Run>
static inline void each_row(const S* panel, long apart, int first, long inputs, Run run) {
    vec row[P * V];
    auto each = [&](auto take) {  // take(where a panel goes on, its place among the vectors)
#pragma GCC unroll 4
        for (int p = 0; p < P; ++p) take(panel + p * apart, p * V);
    };
    auto ask = [=](const S* from) {
        const char* next = reinterpret_cast<const char*>(from + first * W) + AHEAD;
        for (long i = 0; i < V * W * long(sizeof(S)); i += LINE) __builtin_prefetch(next + i);
    };
    if constexpr (std::is_same<S, int8_t>::value) {
        vec scale[P * V];
        for (long block = 0; block < inputs; block += BLOCK) {
            each([&](const S* from, int at) { std::memcpy(scale + at, from + first * sizeof(vec), V * sizeof(vec)); });
            panel += SCALES * LANES;
            for (long k = block; k < std::min(block + BLOCK, inputs); ++k, panel += LANES) {
                each([&](const S* from, int at) {
                    ask(from);
#pragma GCC unroll 8
                    for (int v = 0; v < V; ++v) row[at + v] = weights(from + (first + v) * W) * scale[at + v];
                });
                run(k, row);
            }
        }
    } else {
        for (long k = 0; k < inputs; ++k, panel += LANES) {
            each([&](const S* from, int at) {
                ask(from);
#pragma GCC unroll 8
                for (int v = 0; v < V; ++v) row[at + v] = weights(from + (first + v) * W);
            });
            run(k, row);
        }
    }
}

// One weight of a panel.
template <class S>
static inline float weight(const S* panel, long k, long lane) {
    if constexpr (std::is_same<S, int8_t>::value) {
        long block = rows_of<S>(k / BLOCK * BLOCK) * LANES;
        float scale;
        std::memcpy(&scale, panel + block + lane * sizeof scale, sizeof scale);
        return panel[block + (SCALES + k % BLOCK) * LANES + lane] * scale;
    } else {
        S lanes[W] = {panel[k * LANES + lane]};
        return weights(lanes)[0];
    }
}
