/* SPDX-License-Identifier: BSD-3-Clause */
/* The families, in the order in which they run. Included by main.c, which says what FAMILY() makes of them.
 */
FAMILY(namei)
FAMILY(rename)
FAMILY(link)
FAMILY(unlink)
