/* What boards with a Cortex-M share: registers, and a clock that needs no interrupt. */
#ifndef CORTEX_M_H
#define CORTEX_M_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))

/* ARMv7-M Architecture Reference Manual (ARM DDI 0403), B3.3: SysTick. */
#define SYSTICK_CONTROL REGISTER(0xE000E010)
#define SYSTICK_RELOAD REGISTER(0xE000E014)
#define SYSTICK_VALUE REGISTER(0xE000E018)
#define SYSTICK_ENABLE_AT_PROCESSOR_CLOCK 0x5u
#define SYSTICK_INTERRUPT 0x2u
#define SYSTICK_COUNTED_TO_ZERO (1u << 16)

/* Count milliseconds of a processor clock of so many kilohertz. */
static inline void start_milliseconds(uint32_t kilohertz)
{
    SYSTICK_RELOAD = kilohertz - 1;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = SYSTICK_ENABLE_AT_PROCESSOR_CLOCK;
}

/* Whether a millisecond has ended since this was last asked. */
static inline int a_millisecond_ended(void)
{
    return (SYSTICK_CONTROL & SYSTICK_COUNTED_TO_ZERO) != 0;
}

#endif
