/* A board that is a program: its serial port is standard input and output, which may be a pseudo-terminal. */
#define _POSIX_C_SOURCE 200112L

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "board.h"

static uint8_t received[4096];
static size_t next_byte, end;

void board_start(void)
{
}

int board_read(uint32_t milliseconds)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

    if (next_byte == end) {
        if (poll(&input, 1, (int)milliseconds) == 0) return BOARD_SILENCE;
        const ssize_t count = read(STDIN_FILENO, received, sizeof received);
        if (count <= 0) exit(EXIT_SUCCESS);
        next_byte = 0;
        end = (size_t)count;
    }
    return received[next_byte++];
}

void board_write(const uint8_t *bytes, size_t count)
{
    while (count > 0) {
        const ssize_t written = write(STDOUT_FILENO, bytes, count);
        if (written <= 0) exit(EXIT_SUCCESS);
        bytes += written;
        count -= (size_t)written;
    }
}
