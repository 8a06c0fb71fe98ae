*** Settings ***
Documentation       How RPTUN comes up between the two cores, step by step. Everything here is read from shared memory and
...                 from what the cores did; nothing is taken from what they print.
Resource            pair.resource
Suite Setup         Boot    ${VARIANT}

*** Variables ***
${VARIANT}          demo
${ENDPOINT}         rptwin-echo
${PINGS}            10

*** Test Cases ***
Both Cores Run Their Firmware
    Core Should Not Have Faulted    main
    Core Should Not Have Faulted    remote

The Remote Puts Its Resource Table Into Shared Memory
    Resource Table Should Be In Memory

Both Cores See The Same Table Though They Address It Differently
    Both Cores Should See The Same Table

Main Gives Every Vring An Address
    Every Vring Should Be Resolved

The Vrings Lie In The Carveout Of Their Device
    Every Vring Should Be Inside Its Carveout

Main Reports That The Driver Is Ready
    Vdev Should Be At DRIVER_OK

The Remote Announces Its Endpoint
    Endpoint Should Be Announced    ${ENDPOINT}

Main Sends Pings And The Remote Answers Each
    Should Have Sent At Least    main    ${PINGS}
    Should Have Sent At Least    remote    ${PINGS}
    Every Message Should Have Been Consumed

Each Core Wakes The Other
    Should Have Been Notified At Least    main    ${PINGS}
    Should Have Been Notified At Least    remote    ${PINGS}

Both Cores Sleep When There Is Nothing To Do
    Core Should Be    main    sleeping
    Core Should Be    remote    sleeping

RPTUN Is Up And Nothing Is Wrong
    There Should Be No Findings
    Rptun Should Be Up

Times Are Written As Robot Framework And Renode Have Them
    Start Emulation
    Run For    0.001
    Run For    2 ms
    Run For    1 millisecond
    Run For    00:00:00.001
    Run Until Up    timeout=15
