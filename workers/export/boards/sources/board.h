/* All that the program needs of a board. */
#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>
#include <stdint.h>

#define BOARD_SILENCE (-1)

/* Start clocks and the serial port: 115,200 baud, 8 bits, no parity, 1 stop bit. */
void board_start(void);

/* Wait for a byte for at most so long; return it, or BOARD_SILENCE. */
int board_read(uint32_t milliseconds);

void board_write(const uint8_t *bytes, size_t count);

#endif
