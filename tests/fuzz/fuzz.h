/* SPDX-License-Identifier: BSD-3-Clause */
/* What a fuzz target defines: by libFuzzer's name, so that the target runs with it and with replay.c. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
