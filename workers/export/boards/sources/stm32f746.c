/* STM32F746G Discovery: 216 MHz, USART1 at the virtual serial port of its ST-LINK. NOT TESTED ON HARDWARE.
 *
 * Registers: reference manual RM0385 (STM32F75xxx and STM32F74xxx), whose sections are named. The board: user manual
 * UM1907; its crystal has 25 MHz, and its ST-LINK talks to PA9 (transmit) and PB7 (receive).
 */
#include "board.h"
#include "cortex_m.h"

#define KILOHERTZ 216000u
#define UART_HERTZ 108000000u
#define BAUD 115200u

/* 5.3: reset and clock control. */
#define RCC(offset) REGISTER(0x40023800 + (offset))
#define RCC_CR RCC(0x00)
#define HSE_ON (1u << 16)
#define HSE_READY (1u << 17)
#define PLL_ON (1u << 24)
#define PLL_READY (1u << 25)
#define RCC_PLLCFGR RCC(0x04)
/* 25 MHz / 25 · 432 / 2 = 216 MHz; Q, for USB, is 9, P is 2 as 00, bit 22 chooses HSE, and bit 29 stays as reset. */
#define PLL_216_MHZ (1u << 29 | 9u << 24 | 1u << 22 | 0u << 16 | 432u << 6 | 25u)
#define RCC_CFGR RCC(0x08)
/* Half of the clock for APB2, with USART1; a quarter for APB1. */
#define PRESCALERS (4u << 13 | 5u << 10)
#define SWITCH_TO_PLL 2u
#define SWITCHED_TO_PLL (2u << 2)
#define SWITCH_STATUS (3u << 2)
#define RCC_AHB1ENR RCC(0x30)
#define GPIOA_AND_GPIOB 3u
#define RCC_APB1ENR RCC(0x40)
#define POWER_CLOCK (1u << 28)
#define RCC_APB2ENR RCC(0x44)
#define USART1_CLOCK (1u << 4)

/* 4.4: power control. Above 180 MHz the regulator must be in over-drive. */
#define PWR_CR1 REGISTER(0x40007000)
#define OVERDRIVE (1u << 16)
#define OVERDRIVE_SWITCHING (1u << 17)
#define PWR_CSR1 REGISTER(0x40007004)
#define OVERDRIVE_READY (1u << 16)
#define OVERDRIVE_SWITCHED (1u << 17)

/* 3.7.1: flash. 3.3.2: 7 wait states at 216 MHz. */
#define FLASH_ACR REGISTER(0x40023C00)
#define PREFETCH_AND_7_WAIT_STATES (1u << 8 | 7u)

/* ARMv7-M Architecture Reference Manual, B2.2.7 and B3.2.8: instruction cache. */
#define INVALIDATE_INSTRUCTION_CACHE REGISTER(0xE000EF50)
#define CONFIGURATION_CONTROL REGISTER(0xE000ED14)
#define INSTRUCTION_CACHE (1u << 17)

/* 6.4: ports. */
#define GPIOA(offset) REGISTER(0x40020000 + (offset))
#define GPIOB(offset) REGISTER(0x40020400 + (offset))
#define MODE 0x00
#define ALTERNATE_LOW 0x20
#define ALTERNATE_HIGH 0x24
#define ALTERNATE 2u
#define USART1_FUNCTION 7u

/* 31.8: USART. */
#define USART1(offset) REGISTER(0x40011000 + (offset))
#define USART_CR1 USART1(0x00)
#define ENABLE_BOTH (1u << 3 | 1u << 2 | 1u << 0)
#define USART_CR3 USART1(0x08)
#define IGNORE_OVERRUN (1u << 12)
#define USART_BRR USART1(0x0C)
#define USART_ISR USART1(0x1C)
#define RECEIVER_FULL (1u << 5)
#define TRANSMITTER_EMPTY (1u << 7)
#define USART_RDR USART1(0x24)
#define USART_TDR USART1(0x28)

static void wait_for(volatile uint32_t *state, uint32_t mask, uint32_t value)
{
    while ((*state & mask) != value) {
    }
}

/* The order of 4.1.4. */
static void start_clock(void)
{
    RCC_APB1ENR |= POWER_CLOCK;
    RCC_CR |= HSE_ON;
    wait_for(&RCC_CR, HSE_READY, HSE_READY);
    RCC_PLLCFGR = PLL_216_MHZ;
    RCC_CR |= PLL_ON;
    PWR_CR1 |= OVERDRIVE;
    wait_for(&PWR_CSR1, OVERDRIVE_READY, OVERDRIVE_READY);
    PWR_CR1 |= OVERDRIVE_SWITCHING;
    wait_for(&PWR_CSR1, OVERDRIVE_SWITCHED, OVERDRIVE_SWITCHED);
    FLASH_ACR = PREFETCH_AND_7_WAIT_STATES;
    wait_for(&FLASH_ACR, PREFETCH_AND_7_WAIT_STATES, PREFETCH_AND_7_WAIT_STATES);
    RCC_CFGR = PRESCALERS;
    wait_for(&RCC_CR, PLL_READY, PLL_READY);
    RCC_CFGR = PRESCALERS | SWITCH_TO_PLL;
    wait_for(&RCC_CFGR, SWITCH_STATUS, SWITCHED_TO_PLL);
}

/* Flash is eight clocks away. Data stays uncached: it is fast enough for a serial port, and RAM begins in DTCM. */
static void start_instruction_cache(void)
{
    __asm__ volatile("dsb\n isb");
    INVALIDATE_INSTRUCTION_CACHE = 0;
    __asm__ volatile("dsb\n isb");
    CONFIGURATION_CONTROL |= INSTRUCTION_CACHE;
    __asm__ volatile("dsb\n isb");
}

static void set_field(volatile uint32_t *port, uint32_t place, uint32_t width, uint32_t value)
{
    *port = (*port & ~(((1u << width) - 1) << place * width)) | value << place * width;
}

static void start_serial_port(void)
{
    RCC_AHB1ENR |= GPIOA_AND_GPIOB;
    RCC_APB2ENR |= USART1_CLOCK;
    /* 5.3.10: a peripheral takes two clocks to wake up; reading the register takes longer. */
    (void)RCC_APB2ENR;
    set_field(&GPIOA(ALTERNATE_HIGH), 9 - 8, 4, USART1_FUNCTION);
    set_field(&GPIOA(MODE), 9, 2, ALTERNATE);
    set_field(&GPIOB(ALTERNATE_LOW), 7, 4, USART1_FUNCTION);
    set_field(&GPIOB(MODE), 7, 2, ALTERNATE);
    USART_BRR = (UART_HERTZ + BAUD / 2) / BAUD;
    USART_CR3 = IGNORE_OVERRUN;
    USART_CR1 = ENABLE_BOTH;
}

void board_start(void)
{
    start_instruction_cache();
    start_clock();
    start_milliseconds(KILOHERTZ);
    start_serial_port();
}

int board_read(uint32_t milliseconds)
{
    while (!(USART_ISR & RECEIVER_FULL))
        if (a_millisecond_ended() && milliseconds-- == 0) return BOARD_SILENCE;
    return (int)(USART_RDR & 0xFFu);
}

void board_write(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        wait_for(&USART_ISR, TRANSMITTER_EMPTY, TRANSMITTER_EMPTY);
        USART_TDR = bytes[i];
    }
}
