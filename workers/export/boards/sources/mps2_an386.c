/* ARM's MPS2 board with a Cortex-M4F, which qemu emulates.
 *
 * Registers: Cortex-M System Design Kit, Technical Reference Manual (ARM DDI 0479), 4.3: APB UART. Their address, the
 * clock and the interrupt: Application Note AN386, 3 and 4. Waiting lets the processor sleep, because qemu takes input
 * while it does: a pending interrupt wakes it, and with interrupts masked none is ever taken.
 */
#include "board.h"
#include "cortex_m.h"

#define KILOHERTZ 25000u
#define BAUD 115200u

#define UART(offset) REGISTER(0x40004000 + (offset))
#define UART_DATA UART(0x00)
#define UART_STATE UART(0x04)
#define TRANSMITTER_FULL (1u << 0)
#define RECEIVER_FULL (1u << 1)
#define UART_CONTROL UART(0x08)
#define ENABLE_BOTH_AND_RECEIVER_INTERRUPT 0xBu
#define UART_INTERRUPT UART(0x0C)
#define RECEIVER_INTERRUPT (1u << 1)
#define UART_BAUD_DIVIDER UART(0x10)

/* ARMv7-M Architecture Reference Manual, B3.4 and B3.2.4: interrupt 0 is the receiver's. */
#define ENABLE_INTERRUPTS REGISTER(0xE000E100)
#define FORGET_INTERRUPTS REGISTER(0xE000E280)
#define UART_RECEIVER (1u << 0)
#define INTERRUPT_CONTROL REGISTER(0xE000ED04)
#define FORGET_SYSTICK (1u << 25)

void board_start(void)
{
    __asm__ volatile("cpsid i");
    start_milliseconds(KILOHERTZ);
    SYSTICK_CONTROL |= SYSTICK_INTERRUPT;
    UART_BAUD_DIVIDER = KILOHERTZ * 1000u / BAUD;
    UART_CONTROL = ENABLE_BOTH_AND_RECEIVER_INTERRUPT;
    ENABLE_INTERRUPTS = UART_RECEIVER;
}

int board_read(uint32_t milliseconds)
{
    while (!(UART_STATE & RECEIVER_FULL)) {
        __asm__ volatile("wfi");
        INTERRUPT_CONTROL = FORGET_SYSTICK;
        if (a_millisecond_ended() && milliseconds-- == 0) return BOARD_SILENCE;
    }
    const int byte = (int)UART_DATA;
    UART_INTERRUPT = RECEIVER_INTERRUPT;
    FORGET_INTERRUPTS = UART_RECEIVER;
    return byte;
}

void board_write(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        while (UART_STATE & TRANSMITTER_FULL) {
        }
        UART_DATA = bytes[i];
    }
}
