/* A shared library named by -l: libcrypt, which no other part of the process loads. */
#include <crypt.h>
#include <stdio.h>
#include <string.h>

int main(void) {
    struct crypt_data data;
    const char *salts[] = {"$1$abcdefgh", "$5$rounds=1000$saltstring", "$6$rounds=1000$saltstring"};
    for (int i = 0; i < 3; i++) {
        memset(&data, 0, sizeof data);
        const char *hash = crypt_r("correct horse", salts[i], &data);
        printf("%s\n", hash ? hash : "(none)");
    }
    return 0;
}
