/* Round trips through zstd: inputs of different kinds and sizes, levels, streams, a trained dictionary, checksums, damaged frames.
   Prints sizes and hashes of what was compressed (the format is deterministic for one version); status 1 on any difference. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "zstd.h"
#include "zdict.h"

static uint32_t seed;
static uint32_t next_random(void) {
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

static uint64_t hash(const void *p, size_t n) {
    const unsigned char *c = p;
    uint64_t h = 14695981039346656037u;
    while (n--)
        h = (h ^ *c++) * 1099511628211u;
    return h;
}

static void die(const char *what, size_t code) {
    fprintf(stderr, "roundtrip: %s: %s\n", what, ZSTD_isError(code) ? ZSTD_getErrorName(code) : "wrong result");
    exit(1);
}

enum kind { zeros, text, noise, numbers, mixed, kinds };
static const char *const kind_names[] = {"zeros", "text", "noise", "numbers", "mixed"};
static const char *const words[] = {"arena ", "span ", "stub ", "slot ", "graph ", "edge ", "the ", "of ", "and\n", "retire ", "reclaim ", "publish "};

static void fill(unsigned char *p, size_t n, enum kind k) {
    seed = (uint32_t)k * 77 + 1;
    for (size_t i = 0; i < n;)
        switch (k == mixed ? (enum kind)(next_random() % mixed) : k) {
        case zeros: { size_t run = k == mixed ? 100 : n; while (run-- && i < n) p[i++] = 0; break; }
        case text: { for (const char *w = words[next_random() % 12]; *w && i < n; w++) p[i++] = (unsigned char)*w; break; }
        case noise: p[i++] = (unsigned char)next_random(); break;
        default: { uint32_t v = (uint32_t)(i / 4) * 3; for (int b = 0; b < 4 && i < n; b++) p[i++] = (unsigned char)(v >> (8 * b)); }
        }
}

static void *need(size_t n) {
    void *p = malloc(n ? n : 1);
    if (!p)
        die("out of memory", 0);
    return p;
}

static void simple(enum kind k, size_t n, int level) {
    unsigned char *in = need(n), *back = need(n), *out = need(ZSTD_compressBound(n));
    fill(in, n, k);
    size_t size = ZSTD_compress(out, ZSTD_compressBound(n), in, n, level);
    if (ZSTD_isError(size))
        die("compress", size);
    if (ZSTD_getFrameContentSize(out, size) != n)
        die("content size", 0);
    size_t got = ZSTD_decompress(back, n, out, size);
    if (ZSTD_isError(got) || got != n || memcmp(in, back, n) != 0)
        die("decompress", got);
    printf("%-8s %8zu level %3d: %8zu %016llx\n", kind_names[k], n, level, size, (unsigned long long)hash(out, size));
    free(in), free(back), free(out);
}

static void streamed(enum kind k, size_t n, size_t chunk, int level) {
    unsigned char *in = need(n), *back = need(n), *out = need(ZSTD_compressBound(n) + 1000);
    fill(in, n, k);
    ZSTD_CCtx *c = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
    ZSTD_CCtx_setParameter(c, ZSTD_c_enableLongDistanceMatching, 1);
    ZSTD_outBuffer o = {out, ZSTD_compressBound(n) + 1000, 0};
    for (size_t at = 0; at < n; at += chunk) {
        ZSTD_inBuffer i = {in + at, n - at < chunk ? n - at : chunk, 0};
        size_t left;
        do {
            left = ZSTD_compressStream2(c, &o, &i, at + chunk >= n ? ZSTD_e_end : ZSTD_e_continue);
            if (ZSTD_isError(left))
                die("stream", left);
        } while (i.pos < i.size || (at + chunk >= n && left != 0));
    }
    ZSTD_freeCCtx(c);
    ZSTD_DCtx *d = ZSTD_createDCtx();
    ZSTD_inBuffer i = {out, o.pos, 0};
    ZSTD_outBuffer b = {back, 0, 0};
    size_t state = 1;
    while (state != 0) {
        b.size = b.pos + 777 < n ? b.pos + 777 : n;
        state = ZSTD_decompressStream(d, &b, &i);
        if (ZSTD_isError(state))
            die("unstream", state);
    }
    if (b.pos != n || memcmp(in, back, n) != 0)
        die("unstream", 0);
    printf("stream %-8s %8zu by %6zu level %2d: %8zu %016llx\n", kind_names[k], n, chunk, level, o.pos, (unsigned long long)hash(out, o.pos));

    /* a flipped bit in the middle is an error, or the checksum says so; never a silent difference */
    int detected = 0;
    for (size_t bit = 0; bit < 64; bit++) {
        size_t at = o.pos / 2 + bit;
        if (at >= o.pos)
            break;
        out[at] ^= (unsigned char)(1 << bit % 8);
        size_t got = ZSTD_decompressDCtx(d, back, n, out, o.pos);
        detected += ZSTD_isError(got) != 0;
        if (!ZSTD_isError(got) && memcmp(in, back, n) != 0)
            die("damage was not seen", 0);
        out[at] ^= (unsigned char)(1 << bit % 8);
    }
    printf("damaged: %d seen, cut: %s\n", detected, ZSTD_getErrorName(ZSTD_decompressDCtx(d, back, n, out, o.pos / 2)));
    ZSTD_freeDCtx(d);
    free(in), free(back), free(out);
}

static void dictionary(void) {
    enum { samples = 2000, longest = 200 };
    char *all = need(samples * longest);
    size_t *sizes = need(samples * sizeof *sizes), total = 0;
    seed = 5;
    for (int s = 0; s < samples; s++) {
        uint32_t r[5];
        for (int i = 0; i < 5; i++)
            r[i] = next_random();
        int n = snprintf(all + total, longest, "{\"id\": %d, \"user\": \"user%u\", \"tags\": [\"%s\", \"%s\"], \"score\": %u.%u}", s, r[0] % 1000, words[r[1] % 8],
                         words[r[2] % 8], r[3] % 100, r[4] % 10);
        sizes[s] = (size_t)n;
        total += (size_t)n;
    }
    unsigned char dict[8192], out[1024], back[1024];
    size_t size = ZDICT_trainFromBuffer(dict, sizeof dict, all, sizes, samples);
    if (ZDICT_isError(size))
        die(ZDICT_getErrorName(size), 0);
    ZSTD_CDict *cd = ZSTD_createCDict(dict, size, 3);
    ZSTD_DDict *dd = ZSTD_createDDict(dict, size);
    ZSTD_CCtx *c = ZSTD_createCCtx();
    ZSTD_DCtx *d = ZSTD_createDCtx();
    size_t with = 0, without = 0, at = 0;
    for (int s = 0; s < samples; at += sizes[s++]) {
        size_t n = ZSTD_compress_usingCDict(c, out, sizeof out, all + at, sizes[s], cd);
        if (ZSTD_isError(n))
            die("compress with dictionary", n);
        with += n;
        size_t got = ZSTD_decompress_usingDDict(d, back, sizeof back, out, n, dd);
        if (got != sizes[s] || memcmp(back, all + at, got) != 0)
            die("decompress with dictionary", got);
        without += ZSTD_compressCCtx(c, out, sizeof out, all + at, sizes[s], 3);
    }
    printf("dictionary %zu bytes, id %s: %zu bytes of samples, %zu without, %zu with it\n", size, ZDICT_getDictID(dict, size) ? "set" : "none", total, without, with);
    ZSTD_freeCDict(cd), ZSTD_freeDDict(dd), ZSTD_freeCCtx(c), ZSTD_freeDCtx(d);
    free(all), free(sizes);
}

int main(void) {
    static const size_t lengths[] = {0, 1, 100, 5000, 200000, 1000000};
    static const int levels[] = {-5, 1, 3, 6, 9, 13, 16, 19};
    printf("zstd %s\n", ZSTD_versionString());
    for (int k = 0; k < kinds; k++)
        for (unsigned l = 0; l < sizeof lengths / sizeof lengths[0]; l++)
            simple((enum kind)k, lengths[l], 3);
    for (unsigned l = 0; l < sizeof levels / sizeof levels[0]; l++)
        simple(mixed, 150000, levels[l]);
    streamed(text, 600000, 10000, 3);
    streamed(mixed, 300000, 333, 7);
    streamed(noise, 100000, 100000, 1);
    dictionary();
    return 0;
}
