import type { Meta, StoryObj } from '@storybook/react-vite';
import { StatusPill } from './StatusPill';

const meta: Meta<typeof StatusPill> = { component: StatusPill };
export default meta;

type Story = StoryObj<typeof StatusPill>;

export const Expected: Story = { args: { status: 'expected' } };
export const AtBerth: Story = { args: { status: 'at berth' } };
export const Cleared: Story = { args: { status: 'cleared' } };
export const Held: Story = { args: { status: 'held' } };
