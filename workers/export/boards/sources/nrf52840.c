/* nRF52840 DK: 64 MHz, UART at the virtual serial port of its interface processor. NOT TESTED ON HARDWARE.
 *
 * Registers: nRF52840 Product Specification 1.1, whose sections are named. The board: nRF52840 Development Kit User
 * Guide; its interface processor talks to P0.06 (transmit) and P0.08 (receive), and needs no flow control.
 */
#include "board.h"
#include "cortex_m.h"

#define KILOHERTZ 64000u

/* 5.4.3: clock control. The crystal, because the internal oscillator may be off by more than a serial port bears. */
#define CLOCK(offset) REGISTER(0x40000000 + (offset))
#define START_CRYSTAL CLOCK(0x000)
#define CRYSTAL_STARTED CLOCK(0x100)

/* 6.9.2: port 0. */
#define PORT(offset) REGISTER(0x50000000 + (offset))
#define SET_HIGH PORT(0x508)
#define MAKE_OUTPUT PORT(0x518)
#define PIN_CONFIGURATION(pin) PORT(0x700 + 4 * (pin))
#define INPUT_WITHOUT_PULL 0u

/* 6.33.8: UART, which receives six bytes ahead; the one with DMA would need buffers. */
#define UART(offset) REGISTER(0x40002000 + (offset))
#define START_RECEIVER UART(0x000)
#define START_TRANSMITTER UART(0x008)
#define RECEIVED UART(0x108)
#define TRANSMITTED UART(0x11C)
#define ENABLE UART(0x500)
#define ENABLE_UART 4u
#define TRANSMIT_PIN UART(0x50C)
#define RECEIVE_PIN UART(0x514)
#define RECEIVED_BYTE UART(0x518)
#define TRANSMITTED_BYTE UART(0x51C)
#define BAUD_RATE UART(0x524)
#define BAUD_115200 0x01D7E000u

#define TRANSMIT 6u
#define RECEIVE 8u

static void start_serial_port(void)
{
    SET_HIGH = 1u << TRANSMIT;
    MAKE_OUTPUT = 1u << TRANSMIT;
    PIN_CONFIGURATION(RECEIVE) = INPUT_WITHOUT_PULL;
    TRANSMIT_PIN = TRANSMIT;
    RECEIVE_PIN = RECEIVE;
    BAUD_RATE = BAUD_115200;
    ENABLE = ENABLE_UART;
    START_RECEIVER = 1;
    START_TRANSMITTER = 1;
}

void board_start(void)
{
    START_CRYSTAL = 1;
    while (!CRYSTAL_STARTED) {
    }
    start_milliseconds(KILOHERTZ);
    start_serial_port();
}

int board_read(uint32_t milliseconds)
{
    while (!RECEIVED)
        if (a_millisecond_ended() && milliseconds-- == 0) return BOARD_SILENCE;
    /* Cleared first: the event of a byte that comes meanwhile must not be lost. */
    RECEIVED = 0;
    return (int)(RECEIVED_BYTE & 0xFFu);
}

void board_write(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        TRANSMITTED = 0;
        TRANSMITTED_BYTE = bytes[i];
        while (!TRANSMITTED) {
        }
    }
}
