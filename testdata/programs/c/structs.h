/* Structs of every size from 1 to 64 bytes, and of mixed shapes, shared by structs.c and structs_callee.c. */
#define EACH_SIZE(X) \
    X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16) \
    X(17) X(18) X(19) X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31) X(32) \
    X(33) X(34) X(35) X(36) X(37) X(38) X(39) X(40) X(41) X(42) X(43) X(44) X(45) X(46) X(47) X(48) \
    X(49) X(50) X(51) X(52) X(53) X(54) X(55) X(56) X(57) X(58) X(59) X(60) X(61) X(62) X(63) X(64)

#define EACH_COUNT(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16)

/* name and members; the first two members are a and b */
#define EACH_SHAPE(X) \
    X(cf, char a; float b;) X(fc, float a; char b;) X(df, double a; float b;) X(fd, float a; double b;) \
    X(id, int a; double b;) X(di, double a; int b;) X(ld, long a; double b;) X(dl, double a; long b;) \
    X(sf, short a; float b;) X(fs, float a; short b;) X(qf, long a; float b;) X(cd, char a; double b;) \
    X(lddl, long a; double b; double c; long d;) X(ffi, float a; float b; int c;) X(iff, int a; float b; float c;) \
    X(fif, float a; int b; float c;) X(ffff, float a; float b; float c; float d;) X(fffd, float a; float b; double c;) \
    X(xi, long double a; int b;) X(ix, int a; long double b;) X(ptr, long a; char b; const char *text;)

/* shapes that are shown by hand */
#define EACH_LONE(X) X(x, long double a;) X(bits, int a : 5; unsigned b : 11; long c : 40;)

#define DECLARE_BYTES(n) \
    struct b##n { unsigned char v[n]; }; \
    struct b##n turn_b##n(struct b##n s, int by); \
    unsigned sum_b##n(int before, struct b##n s, double between, struct b##n t, int after);
#define DECLARE_COUNT(n) \
    struct i##n { int v[n]; }; struct f##n { float v[n]; }; \
    struct i##n add_i##n(struct i##n s, struct i##n t); \
    struct f##n add_f##n(struct f##n s, struct f##n t);
#define DECLARE_SHAPE(name, members) \
    struct s_##name { members }; \
    struct s_##name next_##name(struct s_##name s, int by); \
    struct s_##name spill_##name(int a, int b, int c, int d, int e, double f, double g, struct s_##name s, struct s_##name t, int h);

EACH_SIZE(DECLARE_BYTES)
EACH_COUNT(DECLARE_COUNT)
EACH_SHAPE(DECLARE_SHAPE)
EACH_LONE(DECLARE_SHAPE)
