*** Settings ***
Documentation       Pairs that are right in other ways than the demo: each comes up with the same verdict.
Resource            pair.resource
Test Template       Comes Up

*** Test Cases ***                              VARIANT
Vrings At Fixed Addresses                       static
Two Devices With A Carveout Each                two-vdevs
Every Print Removed                             silent
Images Loaded Into SRAM                         sram
Other Names, Addresses And Channels             other

*** Keywords ***
Comes Up
    [Arguments]    ${variant}
    Boot    ${variant}
    Every Vring Should Be Resolved
    There Should Be No Findings
    Rptun Should Be Up
