*** Settings ***
Documentation       Run by Renode's own runner: the nRF5340's UART as exported has both register sets, and its DMA reaches the RAM of
...                 its own core. Registers are written as firmware would, as the core that they belong to.
Test Setup          Load

*** Test Cases ***
The Older Registers Send And Receive
    Write    500    4
    Write    008    1
    Write    51C    0x41
    Should Read    11C    1
    Wait For Bytes On Uart    41    testerId=${TESTER}    timeout=0.1
    Write    000    1
    Should Read    108    0
    Execute Command    sysbus.uart0_net WriteChar 0x42
    Execute Command    sysbus.uart0_net WriteChar 0x43
    Should Read    108    1
    Should Read    518    0x42
    Should Read    108    1
    Should Read    518    0x43
    Should Read    108    0

EasyDMA Sends From And Receives Into The Core's Own RAM
    Execute Command    sysbus WriteDoubleWord 0x21000100 0x44434241 sysbus.cpu_net
    Write    500    8
    Write    544    0x21000100
    Write    548    4
    Write    008    1
    Should Read    120    1
    Should Read    54C    4
    Wait For Bytes On Uart    41 42 43 44    testerId=${TESTER}    timeout=0.1
    Write    534    0x21000200
    Write    538    2
    Write    000    1
    Should Read    14C    1
    Execute Command    sysbus.uart0_net WriteChar 0x61
    Should Read    110    0
    Execute Command    sysbus.uart0_net WriteChar 0x62
    Should Read    110    1
    Should Read    53C    2
    ${bytes}=    Execute Command    sysbus ReadDoubleWord 0x21000200 sysbus.cpu_net
    Should Be Equal As Integers    ${bytes}    0x6261

An Enabled Event Interrupts And A Cleared One Does Not
    Write    500    4
    Write    304    0x80
    Write    008    1
    Write    51C    0x41
    Interrupt Should Be Pending    1
    Write    11C    0
    Interrupt Should Be Pending    0

*** Keywords ***
Load
    Execute Command    Clear
    Execute Command    mach create "board"
    Execute Command    machine LoadPlatformDescription @${EXPORTED}/nrf5340.repl
    Execute Command    sysbus UnhandledAccessBehaviour ThrowException
    ${id}=    Create Terminal Tester    sysbus.uart0_net    binaryMode=True
    VAR    ${TESTER}    ${id}    scope=TEST

Write
    [Arguments]    ${offset}    ${value}
    Execute Command    sysbus WriteDoubleWord 0x41013${offset} ${value} sysbus.cpu_net

Should Read
    [Arguments]    ${offset}    ${value}
    ${read}=    Execute Command    sysbus ReadDoubleWord 0x41013${offset} sysbus.cpu_net
    Should Be Equal As Integers    ${read}    ${value}

Interrupt Should Be Pending
    [Documentation]    Input 19 of the network core's NVIC, in its ISPR0; a pending bit is cleared first, so that the level counts.
    [Arguments]    ${level}
    Execute Command    sysbus WriteDoubleWord 0xE000E280 0x00080000 sysbus.cpu_net
    ${pending}=    Execute Command    sysbus ReadDoubleWord 0xE000E200 sysbus.cpu_net
    ${bit}=    Evaluate    int($pending, 16) >> 19 & 1
    Should Be Equal As Integers    ${bit}    ${level}
