/* From reset to main() on a Cortex-M with a unit for floating point.
 *
 * Sections of the ARMv7-M Architecture Reference Manual (ARM DDI 0403) are named.
 */
#include "cortex_m.h"

/* B3.2: system control block. */
#define VECTOR_TABLE REGISTER(0xE000ED08)
#define RESET_CONTROL REGISTER(0xE000ED0C)
#define REQUEST_RESET 0x05FA0004u
#define COPROCESSOR_ACCESS REGISTER(0xE000ED88)
#define FULL_ACCESS_TO_FLOATING_POINT (0xFu << 20)

/* Of the linker script. */
extern uint32_t data_source, data_begin, data_end, bss_begin, bss_end, stack_top;

int main(void);
void reset(void);

/* Nothing here should fail. What does begins again, as after power-up. */
static void fault(void)
{
    RESET_CONTROL = REQUEST_RESET;
    for (;;) {
    }
}

/* B1.5.2: stack, reset, and the exceptions that cannot be switched off. No interrupt is ever enabled. */
__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    &stack_top, reset, fault, fault, fault, fault, fault, 0, 0, 0, 0, fault, fault, 0, fault, fault,
};

static void start(void)
{
    const volatile uint32_t *source = &data_source;

    for (volatile uint32_t *word = &data_begin; word < &data_end; word++) *word = *source++;
    for (volatile uint32_t *word = &bss_begin; word < &bss_end; word++) *word = 0;
    VECTOR_TABLE = (uint32_t)vectors;
    main();
}

void reset(void)
{
    /* B3.2.20: the unit for floating point must be on before a function begins that uses it. */
    COPROCESSOR_ACCESS |= FULL_ACCESS_TO_FLOATING_POINT;
    __asm__ volatile("dsb\n isb");
    void (*volatile begin)(void) = start;
    begin();
}
