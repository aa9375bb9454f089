/* Not Python: a program that must be compiled. */
#include <stdio.h>
#include <stdlib.h>

int main(int count, char **words) {
    double lr = count > 1 ? atof(words[1]) : 1e-3;
    unsigned seed = count > 2 ? (unsigned)atoi(words[2]) : 0;
    double noise = (double)((seed * 2654435761u) % 1000u) / 1e5;
    for (int epoch = 1; epoch <= 3; epoch++)
        printf("Epoch [%d/3], val_bpb: %.5e\n", epoch, 1.0 / epoch + (lr < 1e-3 ? 0.0 : 0.02) + noise);
    return 0;
}
